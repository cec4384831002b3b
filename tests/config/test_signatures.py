"""Signatures out of source files are those of the imported constructors."""

import importlib
import inspect
from typing import Any, Literal

import pytest
import yaml

from dqh.config.signatures import derives_in_file, signature_in_file
from tests.conftest import ROOT


def targets(node: Any) -> set[str]:
    if not isinstance(node, dict):
        return set()
    own = {node["_target_"]} if "_target_" in node else set()
    return own.union(*(targets(value) for value in node.values()))


TARGETS = sorted({each for path in ROOT.glob("conf/*/*.yaml") for each in targets(yaml.safe_load(path.read_text()))})
PLAIN = "dqh.data.Digits"  # its constructor is that of object


@pytest.mark.parametrize("path", [each for each in TARGETS if each != PLAIN])
def test_the_files_say_what_python_says(path: str) -> None:
    module, _, name = path.rpartition(".")
    imported = inspect.signature(getattr(importlib.import_module(module), name), eval_str=True).parameters
    read = signature_in_file(path)
    assert read is not None
    assert list(read) == list(imported)
    for argument, parameter in read.items():
        real = imported[argument]
        assert (parameter.default is inspect.Parameter.empty) == (real.default is inspect.Parameter.empty)
        assert parameter.default in (..., real.default, inspect.Parameter.empty)
        assert parameter.annotation in (Any, real.annotation), argument


def test_there_are_many() -> None:
    assert len(TARGETS) > 30


def test_what_no_file_says_is_left_open(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").write_text("from own_package.part import Renamed as Name, Open\n")
    (tmp_path / "own_package" / "part.py").write_text(
        "from typing import Literal\nKind = Literal['a', 'b']\nclass Base:\n"
        "    def __init__(self, *, kind: Kind, other: 'int | None' = None, odd: Unknown = f()) -> None: ...\n"
        "class Renamed(Base): ...\nclass Open:\n    def __init__(self, **more): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    read = signature_in_file("own_package.Name")
    assert read is not None
    assert {name: each.annotation for name, each in read.items()} == {
        "kind": Literal["a", "b"],
        "other": int | None,
        "odd": Any,
    }
    assert [each.default for each in read.values()] == [inspect.Parameter.empty, None, ...]
    for path in ("own_package.Open", "own_package.Missing", "no_such_package.X", PLAIN, "X", 3, ""):
        assert signature_in_file(path) is None


def test_bases_are_read_from_files() -> None:
    assert derives_in_file("dqh.methods.dlbhc.DLBHC", "HashModule")
    assert derives_in_file("dqh.models.MobileNetV2", "Backbone")  # by way of another, through two imports
    assert derives_in_file("dqh.methods.ssd.SSD", "DetectionModule")
    for other in ("dqh.methods.ssd.SSD", "dqh.training.fit.fit", "dqh.nothing.Nothing", "", None, 3):
        assert not derives_in_file(other, "HashModule")
