"""Data sets, the protocols that split them, and their images as tensors.

Each name is imported when it is first used. Sources and protocols come without torch, what makes tensors does not.
"""

from typing import TYPE_CHECKING

from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.data.augment import Augment, KeyedDraws
    from dqh.data.box_source import BoxSource
    from dqh.data.boxes import Boxes
    from dqh.data.class_map import ClassMap, class_numbers, read_class_map
    from dqh.data.coco_boxes import COCOBoxes
    from dqh.data.digits import Digits
    from dqh.data.features import Features
    from dqh.data.image_folder import ImageFolder
    from dqh.data.image_list import ImageList
    from dqh.data.json_boxes import JSONBoxes
    from dqh.data.parquet import Parquet
    from dqh.data.photo_files import read_photo
    from dqh.data.photo_names import Photo
    from dqh.data.photos import Photos
    from dqh.data.preparation import Leaks, Prepared, check_leaks, find_leaks, prepare
    from dqh.data.protocols import Protocol, supported_protocols
    from dqh.data.resident import Resident, room_on
    from dqh.data.skipped import check_bad_fraction, write_skipped
    from dqh.data.source import Source
    from dqh.data.splits import Roles, Split
    from dqh.data.store import Batch, Store
    from dqh.data.torchvision_sets import CIFAR10, CIFAR100, MNIST, FashionMNIST
    from dqh.data.voc_boxes import VOCBoxes

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Augment",
    "Batch",
    "BoxSource",
    "Boxes",
    "COCOBoxes",
    "ClassMap",
    "Digits",
    "FashionMNIST",
    "Features",
    "ImageFolder",
    "ImageList",
    "JSONBoxes",
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
    "VOCBoxes",
    "check_bad_fraction",
    "check_leaks",
    "class_numbers",
    "find_leaks",
    "prepare",
    "read_class_map",
    "read_photo",
    "room_on",
    "supported_protocols",
    "write_skipped",
]

_MODULES = {
    "augment": ("Augment", "KeyedDraws"),
    "box_source": ("BoxSource",),
    "boxes": ("Boxes",),
    "class_map": ("ClassMap", "class_numbers", "read_class_map"),
    "coco_boxes": ("COCOBoxes",),
    "digits": ("Digits",),
    "features": ("Features",),
    "image_folder": ("ImageFolder",),
    "image_list": ("ImageList",),
    "json_boxes": ("JSONBoxes",),
    "parquet": ("Parquet",),
    "photo_files": ("read_photo",),
    "photo_names": ("Photo",),
    "photos": ("Photos",),
    "preparation": ("Leaks", "Prepared", "check_leaks", "find_leaks", "prepare"),
    "protocols": ("Protocol", "supported_protocols"),
    "resident": ("Resident", "room_on"),
    "skipped": ("check_bad_fraction", "write_skipped"),
    "source": ("Source",),
    "splits": ("Roles", "Split"),
    "store": ("Batch", "Store"),
    "torchvision_sets": ("CIFAR10", "CIFAR100", "FashionMNIST", "MNIST"),
    "voc_boxes": ("VOCBoxes",),
}

__getattr__, __dir__ = lazily(__name__, _MODULES, __all__)
