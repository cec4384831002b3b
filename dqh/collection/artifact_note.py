"""Where the images of an index are, and the artifact and the detector that it was made with."""

import json
import os
from pathlib import Path

from dqh.errors import NoArtifactError, NoDetectorError
from dqh.files import read_regular
from dqh.index.store.manifest import ENCODER
from dqh.urls import below, is_url

_HINT_BYTES = 2**16


def relative(path: str, root: str) -> str:
    """An absolute path as an index keeps it: relative to the root, with `..` where it does not lie below it.

    Indexes of before kept such a path as it is; `absolute` reads both. What does not lie below a root that is a URL is
    kept as it is, and so is a URL that does not lie below the root.

    Example:
        >>> relative("/photos/a/1.jpg", "/photos"), relative("/other/1.jpg", "/photos")
        ('a/1.jpg', '../other/1.jpg')
        >>> relative("s3://b/a/1.jpg", "s3://b"), relative("s3://c/1.jpg", "s3://b"), relative("/1.jpg", "s3://b")
        ('a/1.jpg', 's3://c/1.jpg', '/1.jpg')
    """
    if is_url(path) or is_url(root):
        return below(path, root) or path
    above = root.rstrip("/") + "/"
    return path.removeprefix(above) if path.startswith(above) else os.path.relpath(path, root)


def absolute(path: str, root: str) -> str:
    """The path of an image, or its URL; `relative` is the inverse.

    `..` goes by the letters of the root, not by its links.
    """
    if is_url(path):
        return path
    if is_url(root):
        return path if path.startswith("/") else f"{root.rstrip('/')}/{path}"
    whole = os.path.join(root, path)  # noqa: PTH118 (paths with bytes that are not UTF-8 stay texts)
    return os.path.normpath(whole) if path.startswith("../") else whole


def artifact_note(artifact: Path, detector: Path | None = None) -> bytes:
    """The content of `encoder.json` in an index: where its artifact was when images were added last, and its detector.

    A hint: ids decide what fits.
    """
    noted = {"artifact": os.path.realpath(artifact)}  # not of a link such as runs/latest, which moves on
    if detector is not None:
        noted["detector"] = os.path.realpath(detector)
    return (json.dumps(noted, indent=2) + "\n").encode()


def remembered_artifact(index: Path) -> Path:
    """Where the artifact of an index was.

    Raises:
        NoArtifactError: the index does not know, or the artifact is not there any more.
    """
    noted = _hint(index, "artifact")
    if noted is None:
        raise NoArtifactError(f"{index} does not say where its artifact is; name it: --artifact DIR")
    if not Path(noted).is_dir():
        raise NoArtifactError(
            f"{index} was made with the artifact at {noted}, which is not there; name it: --artifact DIR"
        )
    return Path(noted)


def remembered_detector(index: Path, *, option: str) -> Path:
    """Where the detector of an index with objects was.

    Raises:
        NoDetectorError: the index does not know, or the detector is not there any more; the text tells the `option` by
            which it is named.
    """
    noted = _hint(index, "detector")
    if noted is None:
        raise NoDetectorError(f"{index} does not say where the detector of its objects is; name it: {option} DETECTOR")
    if not Path(noted).exists():
        raise NoDetectorError(
            f"{index} was made with the detector at {noted}, which is not there; name it: {option} DETECTOR"
        )
    return Path(noted)


def _hint(index: Path, name: str) -> str | None:
    """What the index says, if anything that makes sense."""
    try:
        fields = json.loads(read_regular(index / ENCODER, most=_HINT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else None
