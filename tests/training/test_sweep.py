"""Which cells a sweep has, where they lie, and what a command line makes of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dqh.errors import ConfigError
from dqh.training.sweep import Argument, Cell, Composed, Sweep, plan, plan_command

SETTINGS: dict[str, Any] = {"bits": 48, "seed": 0, "runs": "runs", "resume": None, "trainer": {"epochs": 3}}


def planned(settings: dict[str, Any] | None = None, /, **swept: list[str]) -> Sweep:
    """A sweep in which `experiment=photos` brings its own bits and seed."""

    def compose(values: Mapping[str, str]) -> dict[str, Any]:
        own = {"bits": 64, "seed": 7} if values.get("experiment") == "photos" else {}
        return SETTINGS | own | (settings or {})

    named = {key.replace("__", "."): values for key, values in swept.items()}
    return plan(Path("runs"), compose, swept=named, name="dlbhc_digits")


def test_a_cell_for_each_combination() -> None:
    sweep = planned(seed=["0", "1"], bits=["16", "32"])
    names = ["bits=16,seed=0", "bits=32,seed=0", "bits=16,seed=1", "bits=32,seed=1"]
    assert [cell.name for cell in sweep.cells] == names
    assert [cell.folder for cell in sweep.cells] == [sweep.folder / name for name in names]
    assert sweep.folder.parent == Path("runs/sweeps")
    assert sweep.folder.name.startswith("dlbhc_digits_")
    assert sweep.cell({"seed": "1", "bits": "16", "trainer.epochs": "3"}) == sweep.cells[2]


def test_bits_and_seed_name_a_cell_even_where_they_are_not_swept() -> None:
    sweep = planned(optimizer__lr=["0.1", "0.01"])
    assert [cell.name for cell in sweep.cells] == [
        "bits=48,seed=0,optimizer.lr=0.1",
        "bits=48,seed=0,optimizer.lr=0.01",
    ]
    assert sweep.cell({"optimizer.lr": "0.01"}) == sweep.cells[1]
    assert [cell.name for cell in planned().cells] == ["bits=48,seed=0"]


def test_a_cell_is_named_by_the_bits_of_its_own_configuration() -> None:
    sweep = planned(experiment=["digits", "photos"])
    assert [cell.name for cell in sweep.cells] == [
        "bits=48,seed=0,experiment=digits",
        "bits=64,seed=7,experiment=photos",
    ]
    assert sweep.cell({"experiment": "photos", "bits": "12"}) == sweep.cells[1]  # only what is swept tells cells apart
    assert sweep.folder == planned(experiment=["digits"]).folder
    swept = planned(experiment=["digits", "photos"], bits=["8"])
    assert [cell.name for cell in swept.cells] == ["bits=8,seed=0,experiment=digits", "bits=8,seed=7,experiment=photos"]
    assert swept.folder == sweep.folder


def test_a_sweep_finds_its_folder_again_and_grows() -> None:
    small = planned(bits=["16"])
    for same in (
        planned(bits=["16", "32"]),
        planned(bits=["16"], seed=["0", "1"]),
        planned({"seed": 5}, bits=["16"]),
        planned({"runs": "elsewhere"}, seed=["0"], bits=["16"]),
    ):
        assert same.folder == small.folder
    assert planned(bits=["16"], seed=["0"]).cells == small.cells
    for other in (planned({"trainer": {"epochs": 4}}, bits=["16"]), planned(bits=["16"], optimizer__lr=["0.1"])):
        assert other.folder != small.folder
    assert planned(optimizer__lr=["1"]).folder == planned(optimizer__lr=["2", "3"]).folder


def test_values_that_cannot_be_the_name_of_a_folder() -> None:
    one, other, long = planned(data__root=["/a/b", "/a_b", "x" * 300]).cells
    assert one.name == "bits=48,seed=0,data.root=/a/b"
    assert one.folder.name.startswith("bits=48,seed=0,data.root=_a_b-")
    assert len({one.folder, other.folder, long.folder}) == 3
    assert {each.folder.parent for each in (one, other, long)} == {one.folder.parent}
    assert len(long.folder.name) < 140


def test_a_value_given_twice() -> None:
    with pytest.raises(ConfigError, match="bits: 16 is given twice\nseed: 1 is given twice"):
        planned(bits=["16", "8", "16"], seed=["1", "1"])


def test_how_a_cell_stands(tmp_path: Path) -> None:
    cell = Cell({"bits": "16", "seed": "0"}, tmp_path / "cell")
    assert cell.state == "waiting"
    cell.folder.mkdir()
    assert cell.state == "waiting"
    (cell.folder / "metrics.json").touch()
    assert cell.state == "complete"
    (cell.folder / "error.txt").touch()
    assert cell.state == "failed"


def compose(arguments: Sequence[str]) -> Composed:
    """As hydra composes: the last argument of a key holds, and `method.bits` are those that count."""
    own = {"bits": "48", "seed": "0", "method": "dlbhc", "data": "digits"}
    own |= dict(argument.lstrip("+").split("=") for argument in arguments)
    return Composed(
        own | {"bits": own.get("method.bits", own["bits"])}, {name: own[name] for name in ("method", "data")}
    )


def test_a_command_line_is_a_sweep() -> None:
    fixed = Argument("++trainer.epochs=3", "++trainer.epochs", None)
    sweep = plan_command(Path("runs"), [fixed, Argument("bits=8,16", "bits", ("8", "16"))], compose)
    assert [cell.name for cell in sweep.cells] == ["bits=8,seed=0", "bits=16,seed=0"]
    assert sweep.folder.name.startswith("dlbhc_digits_")
    own = plan_command(Path("runs"), [fixed, Argument("++method.bits=4,2", "++method.bits", ("4", "2"))], compose)
    assert [cell.name for cell in own.cells] == ["bits=4,seed=0,method.bits=4", "bits=2,seed=0,method.bits=2"]
    methods = plan_command(Path("runs"), [Argument("method=dqn,dlbhc", "method", ("dqn", "dlbhc"))], compose)
    assert methods.folder.name.startswith("digits_")
    photos = plan_command(Path("runs"), [Argument("experiment=a,b", "experiment", ("a", "b"))], compose)
    assert photos.folder.name.startswith("experiments_")


def test_of_several_arguments_with_one_key_the_last_holds() -> None:
    swept, single = Argument("bits=8,16", "bits", ("8", "16")), Argument("bits=32", "bits", None)
    assert [cell.name for cell in plan_command(Path("runs"), [swept, single], compose).cells] == ["bits=32,seed=0"]
    assert len(plan_command(Path("runs"), [single, swept], compose).cells) == 2


def test_detectors_have_no_bits_that_could_name_a_cell() -> None:
    sweep = planned({"bits": None}, seed=["0", "1"])
    assert [cell.name for cell in sweep.cells] == ["seed=0", "seed=1"]
    assert sweep.cell({"seed": "1"}) == sweep.cells[1]
    assert [cell.name for cell in planned({"bits": None}, method__iou=["0.5", "0.7"]).cells] == [
        "seed=0,method.iou=0.5",
        "seed=0,method.iou=0.7",
    ]

    def compose(values: Mapping[str, str]) -> dict[str, Any]:
        return SETTINGS | ({"bits": None} if values.get("method") == "ssd" else {})

    mixed = plan(Path("runs"), compose, swept={"method": ["dlbhc", "ssd"]}, name="shapes")
    assert [cell.name for cell in mixed.cells] == ["bits=48,seed=0,method=dlbhc", "bits=null,seed=0,method=ssd"]
