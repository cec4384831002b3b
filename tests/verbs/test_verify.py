"""`dqh verify`."""

from collections.abc import Callable
from pathlib import Path

from tests.export.index.conftest import made


def test_damage_and_strangers(saved: Path, dqh: Callable) -> None:
    (saved / "more").touch()
    status, _, err = dqh("verify", saved)
    assert status == 0
    assert err == f"not listed, so not checked: {saved / 'more'}"
    (saved / "split.json").write_text("{}")
    status, out, _ = dqh("verify", saved)
    assert status == 1
    assert "split.json is damaged" in out
    assert "NOT as it was written" in out
    status, out, err = dqh("export", saved, "--to", "faiss")
    assert (status, out) == (1, "")
    assert "split.json is damaged" in err


def test_verify_wants_an_artifact(dqh: Callable) -> None:
    status, out, err = dqh("verify", "X")
    assert (status, out) == (2, "")
    assert "no artifact at X" in err


def test_it_names_the_verb_for_indexes(tmp_path: Path, dqh: Callable) -> None:
    index = made(tmp_path / "index")
    status, out, err = dqh("verify", index)
    assert (status, out) == (2, "")
    assert f"check it: dqh check {index}" in err
