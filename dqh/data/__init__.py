"""Data sets, the protocols that split them, and their images as tensors."""

from dqh.data.augment import Augment
from dqh.data.digits import Digits
from dqh.data.features import Features
from dqh.data.image_folder import ImageFolder
from dqh.data.image_list import ImageList
from dqh.data.keyed import KeyedDraws
from dqh.data.leaks import Leaks, check_leaks, find_leaks
from dqh.data.parquet import Parquet
from dqh.data.prepare import Prepared, prepare
from dqh.data.protocols import Protocol, supported_protocols
from dqh.data.resident import Resident, room_on
from dqh.data.skipped import check_bad_fraction, write_skipped
from dqh.data.source import Source
from dqh.data.split_notes import split_notes
from dqh.data.splits import Roles, Split
from dqh.data.store import Batch, Store
from dqh.data.torchvision_sets import CIFAR10, CIFAR100, MNIST, FashionMNIST

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
    "room_on",
    "split_notes",
    "supported_protocols",
    "write_skipped",
]
