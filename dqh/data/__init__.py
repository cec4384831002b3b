"""Data sets, the protocols that split them, and their images as tensors.

Sources and protocols come without torch; what makes tensors is imported when it is first used.
"""

from typing import TYPE_CHECKING

from dqh.data.digits import Digits
from dqh.data.features import Features
from dqh.data.image_folder import ImageFolder
from dqh.data.image_list import ImageList
from dqh.data.leaks import Leaks, check_leaks, find_leaks
from dqh.data.parquet import Parquet
from dqh.data.photos import Photo, Photos, read_photo
from dqh.data.protocols import Protocol, supported_protocols
from dqh.data.redraw import redraw
from dqh.data.skipped import check_bad_fraction, write_skipped
from dqh.data.source import Source
from dqh.data.split_notes import split_notes
from dqh.data.splits import Roles, Split
from dqh.data.torchvision_sets import CIFAR10, CIFAR100, MNIST, FashionMNIST
from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.data.augment import Augment
    from dqh.data.keyed import KeyedDraws
    from dqh.data.preparation import Prepared, prepare
    from dqh.data.resident import Resident, room_on
    from dqh.data.store import Batch, Store

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Augment",
    "Batch",
    "Digits",
    "FashionMNIST",
    "Features",
    "ImageFolder",
    "ImageList",
    "KeyedDraws",
    "Leaks",
    "Parquet",
    "Photo",
    "Photos",
    "Prepared",
    "Protocol",
    "Resident",
    "Roles",
    "Source",
    "Split",
    "Store",
    "check_bad_fraction",
    "check_leaks",
    "find_leaks",
    "prepare",
    "read_photo",
    "redraw",
    "room_on",
    "split_notes",
    "supported_protocols",
    "write_skipped",
]

_WITH_TORCH = {
    "Augment": "augment",
    "KeyedDraws": "keyed",
    "Prepared": "preparation",
    "prepare": "preparation",
    "Resident": "resident",
    "room_on": "resident",
    "Batch": "store",
    "Store": "store",
}

__getattr__, __dir__ = lazily(__name__, _WITH_TORCH, __all__)
