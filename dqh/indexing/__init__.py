"""Images into an index, and images as queries of it: an encoder and the index on disk together."""

from dqh.indexing.encoder import LoadedEncoder, load_encoder
from dqh.indexing.making import Indexed, TooManyUnusableError, index_images
from dqh.indexing.photos import Photo, Photos, read_photo
from dqh.indexing.places import absolute, remembered_artifact
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
