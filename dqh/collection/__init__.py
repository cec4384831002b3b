"""A folder of photos and its index: an encoder and the index on disk together, made, kept and searched."""

from typing import TYPE_CHECKING

from dqh.collection.artifact_note import absolute, remembered_artifact
from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.collection.indexed import Indexed, TooManyUnusableError
    from dqh.collection.making import index_images
    from dqh.collection.searching import Answers, search_images

__all__ = [
    "Answers",
    "Indexed",
    "TooManyUnusableError",
    "absolute",
    "index_images",
    "remembered_artifact",
    "search_images",
]

_WITH_TORCH = {
    "indexed": ("Indexed", "TooManyUnusableError"),
    "making": ("index_images",),
    "searching": ("Answers", "search_images"),
}

__getattr__, __dir__ = lazily(__name__, _WITH_TORCH, __all__)
