"""`dqh related`, over a simulated collection."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.discovery.related.conftest import Shop, make_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def model(shop: Shop, tmp_path: Path, dqh: Callable) -> Path:
    assert dqh("related", shop.index, "--log", shop.log, "--fit", tmp_path / "model")[0] == 0
    return tmp_path / "model"


def test_fitted_told_verified_and_used(shop: Shop, tmp_path: Path, dqh: Callable) -> None:
    out = tmp_path / "model"
    status, told, _ = dqh("related", shop.index, "--log", shop.log, "--fit", out)
    lines = told.splitlines()
    assert status == 0
    assert lines[0].startswith(f"{out}: ranksvm from ")
    assert " of 12,800 shows beside 80 queries, 150 users, 80 items" in lines[0]
    assert lines[1].startswith("  position r is looked at with r^-")
    assert [line.split(maxsplit=1)[1] for line in lines[3:]] == [
        "popularity",
        "visual distance",
        "visual features",
        "without visual features",
        "all features",
    ]
    assert dqh("verify", out)[:2] == (0, f"{out}: fitted to log.csv, ranksvm for 80 items, every hash holds\n")
    assert json.loads(dqh("verify", out, "--json")[1])["log"]["items"] == 80
    names = [shop.simulation.name(item) for item in range(2)]
    status, told, err = dqh("related", shop.index, "--model", out, names[0], "-k", 3, names[1])
    lines = told.splitlines()
    assert (status, len(lines)) == (0, 8)
    assert lines[0].startswith(f"{names[0]}  by the log and looks, of ")
    assert "  saved 0." in lines[1]
    assert "milliseconds: candidates" in err


def test_json(shop: Shop, model: Path, dqh: Callable) -> None:
    status, told, _ = dqh("related", shop.index, shop.simulation.name(3), "--model", model, "--json", "-k", 2)
    (answer,) = json.loads(told)["items"]
    assert (status, answer["path"], len(answer["related"])) == (0, shop.simulation.name(3), 2)
    first = answer["related"][0]
    assert first["file"] == f"/simulated/{first['path']}"
    assert 0 <= first["propensity"]["low"] <= first["propensity"]["value"] <= first["propensity"]["high"] <= 1
    by_id = dqh("related", shop.index, f"id:{answer['id']}", "--model", model, "--json", "-k", 2)[1]
    assert json.loads(by_id)["items"][0]["related"] == answer["related"]


@pytest.mark.slow
def test_fit_as_json(shop: Shop, tmp_path: Path, dqh: Callable) -> None:
    status, told, _ = dqh(
        *("related", shop.index, "--log", shop.log, "--fit", tmp_path / "model", "--json"),
        *("--ranker", "lambdamart", "--examination", "1", "--seed", "3"),
    )
    fields = json.loads(told)
    assert (status, fields["ranker"], fields["examination"]["power"]) == (0, "lambdamart", 1.0)
    assert fields["log"]["faults"] == 0


def test_faulty_lines_and_unknown_items_are_told(shop: Shop, tmp_path: Path, dqh: Callable) -> None:
    log = tmp_path / "log.csv"
    log.write_text(shop.log.read_text() + "u1,x\n" * 5 + "u1,gone.jpg,show,5,,,\n" * 2)
    status, _, err = dqh("related", shop.index, "--log", log, "--fit", tmp_path / "model")
    assert status == 0
    assert "2 columns, but the header has 7" in err
    assert "and 2 more faulty lines" in err
    assert "1 items of the log are no images of the index, and 2 lines with them are left out" in err
    status, out, err = dqh("related", shop.index, "--log", log, "--fit", tmp_path / "other", "--most-faults", 0)
    assert (status, out) == (2, "")
    assert "5 of " in err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "give --model OUT and an ITEM of the index, or fit one first: --log LOG --fit OUT"),
        (("a.jpg",), 2, "give --model OUT and an ITEM"),
        (("--log", "l"), 2, "--log belongs to --fit OUT; give both, or neither"),
        (("--model", "m", "a.jpg", "--most-faults", "0.1"), 2, "--most-faults belongs to --fit OUT"),
        (("--fit", "o"), 2, "a model is fitted to a log: give --log LOG"),
        (("--fit", "o", "--log", "l", "a.jpg"), 2, "leave items off"),
        (("--fit", "o", "--log", "l", "--model", "m"), 2, "leave --model off"),
        (("--fit", "o", "--log", "none.csv"), 2, "not found: looked for none.csv"),
        (("--fit", "o", "--log", "l", "--ranker", "x"), 2, "invalid choice: 'x'"),
        (("--fit", "o", "--log", "l", "--most-faults", "2"), 2, "wanted a number from 0 to 1, got '2'"),
        (
            ("--model", "none", "a.jpg"),
            2,
            "no fitted related items at none/related.json; fit them to a log: dqh related",
        ),
        (("-k", "0"), 2, "wanted a whole number from 1, got '0'"),
    ],
)
def test_usage(arguments: tuple[str, ...], status: int, message: str, shop: Shop, dqh: Callable) -> None:
    found, out, err = dqh("related", shop.index, *arguments)
    assert (found, out) == (status, "")
    assert message in err


def test_what_does_not_belong_together(shop: Shop, model: Path, tmp_path: Path, dqh: Callable) -> None:
    assert "the index has no image 'x.jpg'" in dqh("related", shop.index, "--model", model, "x.jpg")[2]
    status, _, err = dqh("related", shop.index, "--log", shop.log, "--fit", model)
    assert status == 2
    assert "holds a fitted related items already" in err
    status, _, err = dqh("related", shop.index, "--log", shop.log, "--fit", tmp_path / "m", "--examination", "-1")
    assert status == 2
    assert "must be from 0 to 5, got -1.0" in err
    status, _, err = dqh("related", tmp_path / "no", "--model", model, "x.jpg")
    assert status == 2
    (model / "counts.safetensors").write_bytes(b"")
    assert dqh("related", shop.index, "--model", model, "x.jpg")[0] == 1
    assert dqh("verify", model)[0] == 1
