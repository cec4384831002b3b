"""Paths of images, in one spelling."""

import os


def located(path: str, folder: str | None = None) -> str:
    """The absolute path of what a path names, in one spelling; links are kept.

    `..` behind a link leads out of the folder that it points to, as everywhere in the system.

    Args:
        path: absolute, or relative to the folder.
        folder: absolute; None for the working directory.
    """
    whole = os.path.join(os.getcwd() if folder is None else folder, path)  # noqa: PTH109, PTH118
    parts = whole.split("/")
    if ".." not in parts:
        return os.path.normpath(whole)
    shared = "/"
    for number, part in enumerate(parts):
        if part != "..":
            shared = os.path.normpath(os.path.join(shared, part))  # noqa: PTH118
        elif os.path.isdir(shared):  # noqa: PTH112
            above = os.path.realpath(shared) if os.path.islink(shared) else shared  # noqa: PTH114
            shared = os.path.dirname(above)  # noqa: PTH120
        else:  # the system refuses it
            return os.path.join(shared, *parts[number:])  # noqa: PTH118
    return shared
