"""The folder is whole at every moment, of one version, and never in the place of something else."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dqh.artifact.manifest import EXPORT_MANIFEST, damages, read_manifest, unlisted
from dqh.errors import ConfigError, DqhError, StoreError
from dqh.export.form import Form, publish, require_known
from dqh.export.index.forms import IndexSource
from dqh.locks import locked_folder
from tests.artifact.forging import write_manifest
from tests.artifact.test_publishing import FIELDS as ALL_FIELDS

FIELDS = {name: value for name, value in ALL_FIELDS.items() if name not in ("kind", "format_version")}


def form(content: str, name: str = "a.txt") -> Callable[[Path], None]:
    def make(into: Path) -> None:
        assert list(into.iterdir()) == []
        (into / "deep").mkdir()
        (into / "deep" / name).write_text(content)

    return make


def failing(into: Path) -> None:
    (into / "half").write_text("half")
    raise OSError("disk full")


class Something(IndexSource):
    """An index of which nothing is known but the fields that its manifest gets."""

    def __init__(self, fields: dict[str, Any], out: Path) -> None:
        self.content, self.encoder_id, self.folder = SimpleNamespace(fields=lambda: fields), fields["encoder_id"], out

    def beside(self) -> dict[str, bytes]:
        return {"quantizer.safetensors": b"q"}


def put(out: Path, fields: dict[str, Any] = FIELDS, **makers: Callable[[Path], None]) -> dict[str, int]:
    def form_of(name: str) -> Form[Any]:
        def write(_: Any, root: Path) -> None:
            (root / name).mkdir()
            makers[name](root / name)

        return Form(write)

    return publish(Something(fields, out), {name: form_of(name) for name in makers}, list(makers))[1]


def whole(out: Path) -> dict[str, Any]:
    """The manifest of a folder, whose files are just those that it lists, as it lists them."""
    manifest = read_manifest(out, EXPORT_MANIFEST)
    assert damages(out, manifest["files"], EXPORT_MANIFEST) == []
    assert unlisted(out, manifest["files"], EXPORT_MANIFEST) == []
    return manifest


def test_a_form_is_replaced_and_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    assert put(out, faiss=form("one"), lance=form("two!")) == {"faiss/deep/a.txt": 3, "lance/deep/a.txt": 4}
    manifest = whole(out)
    assert manifest["files"]["lance/deep/a.txt"]["form"] == "lance"
    assert (manifest["kind"], manifest["rows"], manifest["encoder_id"]) == ("index", 5, "e")
    assert (out / "quantizer.safetensors").read_bytes() == b"q"
    put(out, faiss=form("three", name="b.txt"))
    assert sorted(whole(out)["files"]) == ["faiss/deep/b.txt", "lance/deep/a.txt", "quantizer.safetensors"]


def test_another_version_replaces_all_or_nothing(tmp_path: Path) -> None:
    put(tmp_path, faiss=form("one"), lance=form("two"))
    newer = FIELDS | {"index_sha256": "2" * 64, "version": 2}
    with pytest.raises(StoreError, match=r"holds lance of version 1 .* this is version 2; .* --to faiss,lance"):
        put(tmp_path, fields=newer, faiss=form("three"))
    assert whole(tmp_path)["version"] == 1
    put(tmp_path, fields=newer, faiss=form("three"), lance=form("four"))
    assert whole(tmp_path)["version"] == 2


@pytest.mark.parametrize("begun", [False, True])
def test_a_form_that_fails_changes_nothing(tmp_path: Path, begun: bool) -> None:
    out = tmp_path / "new" / "out"
    if begun:
        put(out, faiss=form("one"))
        before = whole(out)
    with pytest.raises(OSError, match="disk full"):
        put(out, faiss=form("two"), lance=failing)
    if begun:
        assert whole(out) == before
        assert (out / "faiss" / "deep" / "a.txt").read_text() == "one"
    else:
        assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_of_the_user_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"):
        put(tmp_path, faiss=failing)
    assert list(tmp_path.iterdir()) == []


def test_what_lies_there_like_a_staging_folder_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / ".new-1234").mkdir()
    (tmp_path / ".new-1234" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"is not empty; .* \.new-1234 lies there"):
        put(tmp_path, faiss=form("one"))
    assert (tmp_path / ".new-1234" / "thesis.txt").read_text() == "mine"


def test_a_file_inside_a_form_stays_when_the_form_is_replaced(tmp_path: Path) -> None:
    put(tmp_path, faiss=form("one"))
    (tmp_path / "faiss" / "thesis.txt").write_text("mine")
    (tmp_path / ".new-x").symlink_to(tmp_path / "faiss")
    put(tmp_path, faiss=form("two"))
    assert (tmp_path / "faiss" / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "faiss" / "deep" / "a.txt").read_text() == "two"
    assert (tmp_path / ".new-x").is_symlink()


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path, error=StoreError),
        pytest.raises(StoreError, match="is being written by another process"),
    ):
        put(tmp_path, faiss=form("one"))
    put(tmp_path, faiss=form("one"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"photo.jpg": b""}, "is not empty; choose another folder or remove it first"),
        ({"artifact.json": b"{}"}, "is an artifact; choose another folder"),
        ({"v3.json": b"{}"}, "is an index; choose another folder"),
        ({"export.json": b"{}"}, r"export.json is damaged: .*: remove .* or choose another folder"),
    ],
)
def test_something_else_is_left_alone(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DqhError, match=message) as found:
        put(tmp_path, faiss=form("one"))
    assert found.value.exit_status == (1 if "damaged" in message else 2)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == files


def test_forms_of_something_else_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, faiss=form("one"))
    with pytest.raises(StoreError, match="holds forms of encoder e, not of f; choose another folder"):
        put(tmp_path, fields=FIELDS | {"encoder_id": "f"}, faiss=form("two"))
    manifest = whole(tmp_path)
    write_manifest(tmp_path, {name: value for name, value in manifest.items() if name != "kind"}, EXPORT_MANIFEST)
    with pytest.raises(ConfigError, match="holds forms of an artifact; choose another folder"):
        put(tmp_path, faiss=form("two"))


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file is a file; name a folder"):
        put(tmp_path / "file", faiss=form("one"))


def test_what_a_form_cannot_be_made_of_is_told_before_anything_is_written(tmp_path: Path) -> None:
    def refuse(_: Any) -> None:
        raise DqhError("not of these")

    forms = {"faiss": Form[Any](lambda _, root: None, refuse)}
    with pytest.raises(DqhError, match="not of these"):
        publish(Something(FIELDS, tmp_path / "out"), forms, ["faiss"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("asked", "got"), [([], "none"), (["faiss", "csv", "tsv"], "csv, tsv")])
def test_unknown_forms_are_told_together(asked: list[str], got: str) -> None:
    with pytest.raises(ConfigError, match=f"to: forms of an index are faiss, lance, got {got}"):
        require_known(asked, ["faiss", "lance"], of="an index")
