import importlib
import sys

import pytest

SHOP = """
from __future__ import annotations
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from dqh.errors import ConfigError, DataError, DqhError, TooManyBadImagesError

if TYPE_CHECKING:
    from somewhere import Unknown

PRICE = 3

@dataclass(frozen=True, kw_only=True)
class SGD:
    lr: float
    momentum: float = 0.9
    nesterov: bool = False
    schedule: Literal["cosine", "constant"] = "cosine"
    betas: tuple[float, float] = (0.9, 0.999)
    milestones: Sequence[int] = ()

@dataclass(kw_only=True)
class Method:
    backbone: object
    classes: int
    bits: int
    optimizer: SGD | None = None
    callbacks: Sequence[object] = ()

    def __post_init__(self):
        if self.bits < 1:
            raise ValueError(f"bits must be 1 or more, got {self.bits}")

class Folder:
    def __init__(self, *, root: Path, extensions: tuple[str, ...] = (".png",)):
        self.root, self.extensions = root, extensions
        if root.name == "gone":
            raise DataError(f"{root} does not exist; unpack the images there")

class Strange:
    def __init__(self, thing: Unknown, /, size: int = 3, *rest: int, untyped=None):
        self.size = size

class Open:
    def __init__(self, size: int = 3, **rest: object):
        self.size, self.rest = size, rest

def fail(kind: str = "value"):
    raise {
        "value": ValueError("no good"),
        "silent": ValueError(),
        "type": TypeError("no good"),
        "config": ConfigError(["one", "two"]),
        "bad": TooManyBadImagesError("7 of 9 images are bad"),
        "os": FileNotFoundError("nowhere"),
        "plain": DqhError("odd"),
    }[kind]
"""


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    """A package `shop` with constructors to configure, gone after the test."""
    package = tmp_path / "modules" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "training.py").write_text(SHOP)
    (package / "needy.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]
