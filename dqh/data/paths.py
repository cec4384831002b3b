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
    found = "/"
    for number, part in enumerate(parts):
        if part != "..":
            found = os.path.normpath(os.path.join(found, part))  # noqa: PTH118
        elif os.path.isdir(found):  # noqa: PTH112
            above = os.path.realpath(found) if os.path.islink(found) else found  # noqa: PTH114
            found = os.path.dirname(above)  # noqa: PTH120
        else:  # the system refuses it
            return os.path.join(found, *parts[number:])  # noqa: PTH118
    return found
