"""Images into an index, and images as queries of it: an encoder and the index on disk together."""

from typing import TYPE_CHECKING

from dqh.indexing.places import absolute, remembered_artifact
from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.indexing.encoder import LoadedEncoder, load_encoder
    from dqh.indexing.making import Indexed, TooManyUnusableError, index_images
    from dqh.indexing.photos import Photo, Photos, read_photo
    from dqh.indexing.searching import Answers, search_images

__all__ = [
    "Answers",
    "Indexed",
    "LoadedEncoder",
    "Photo",
    "Photos",
    "TooManyUnusableError",
    "absolute",
    "index_images",
    "load_encoder",
    "read_photo",
    "remembered_artifact",
    "search_images",
]

_WITH_TORCH = {
    "Answers": "searching",
    "Indexed": "making",
    "LoadedEncoder": "encoder",
    "Photo": "photos",
    "Photos": "photos",
    "TooManyUnusableError": "making",
    "index_images": "making",
    "load_encoder": "encoder",
    "read_photo": "photos",
    "search_images": "searching",
}

__getattr__, __dir__ = lazily(__name__, _WITH_TORCH, __all__)
