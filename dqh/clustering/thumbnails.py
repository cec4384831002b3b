"""Small pictures that stand in a page themselves."""

import base64
import io
from typing import NamedTuple

from PIL import Image

from dqh.data.photo_files import read_photo
from dqh.errors import BadImageError, first_line

SIDE = 128
"""Longer side of a picture, pixels."""


class Thumbnail(NamedTuple):
    """A picture on a page: data URI, or why there is none, and a caption."""

    source: str
    fault: str
    caption: str


def thumbnail(path: str, caption: str) -> Thumbnail:
    """The picture of a path, as `dqh.data.photos` names it, in JPEG; or why it cannot be read."""
    try:
        picture = read_photo(path)
    except BadImageError as error:
        return Thumbnail("", first_line(error), caption)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=82)
    return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", "", caption)
