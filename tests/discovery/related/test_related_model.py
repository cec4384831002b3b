"""What was fitted comes back as it was, and anything else is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.related_fit import fit_related
from dqh.discovery.related.related_model import COUNTS, RELATED, RelatedModel, read_related
from dqh.errors import ArtifactError, ConfigError, MismatchError, NoArtifactError
from dqh.sealed import seal, unseal
from dqh.tensors import read_arrays, write_arrays
from tests.discovery.related.conftest import Shop


@pytest.fixture
def folder(fitted: RelatedModel, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "model")
    return tmp_path / "model"


def test_saved_and_read(fitted: RelatedModel, folder: Path) -> None:
    again = read_related(folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "all.safetensors",
        "counts.safetensors",
        "looks.safetensors",
        "related.json",
    ]
    assert (again.paths, again.log, again.measured) == (fitted.paths, fitted.log, fitted.measured)
    assert again.examination == fitted.examination
    for name, values in fitted.counts._asdict().items():
        for one, other in zip(
            np.atleast_1d(values) if isinstance(values, np.ndarray) else values,
            getattr(again.counts, name),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.rankers.all.weights, fitted.rankers.all.weights)


def test_paths_of_any_bytes(fitted: RelatedModel, tmp_path: Path) -> None:
    odd = ("é/\udcff.jpg", *fitted.paths[1:])
    replace(fitted, paths=odd).save(tmp_path / "model")
    assert read_related(tmp_path / "model").paths == odd


@pytest.mark.slow
def test_lambda_mart_is_kept_as_text(shop: Shop, tmp_path: Path) -> None:
    model = fit_related(shop.snapshot.version, read_action_log(shop.log), shop.log, ranker="lambdamart", measure=False)
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / "all.txt").read_text().startswith("tree\n")
    assert read_related(tmp_path / "model").rankers == model.rankers


def test_a_folder_that_holds_something_is_left_alone(fitted: RelatedModel, folder: Path) -> None:
    with pytest.raises(ConfigError, match="holds a fitted related items already"):
        fitted.save(folder)


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NoArtifactError, match="no fitted related items at"):
        read_related(tmp_path)


@pytest.mark.parametrize("name", [COUNTS, RELATED, "all.safetensors", "looks.safetensors"])
@pytest.mark.parametrize("damage", ["turned", "cut", "gone", "link"])
def test_a_damaged_file_is_refused(folder: Path, name: str, damage: str) -> None:
    file = folder / name
    content = bytearray(file.read_bytes())
    if damage == "turned":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[:-1])
    else:
        file.rename(folder / "elsewhere")
        if damage == "link":
            if name == RELATED:
                pytest.skip("a manifest may be linked to, as those of others")
            file.symlink_to(folder / "elsewhere")
    with pytest.raises(ArtifactError):
        read_related(folder)


def changed(folder: Path, name: str, content: bytes) -> None:
    """A file changed by somebody who writes the hashes anew."""
    import hashlib

    (folder / name).write_bytes(content)
    fields = unseal((folder / RELATED).read_bytes())
    fields["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (folder / RELATED).write_bytes(seal(fields))


Arrays = dict[str, Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("saves"), "it holds saves too much or too little"),
        (lambda arrays: arrays.update(more=np.zeros(1)), "it holds more too much or too little"),
        (lambda arrays: arrays["path_ends"].__setitem__(3, 0), "path_ends must rise"),
        (lambda arrays: arrays["path_ends"].__setitem__(-1, 10**9), "path_ends must rise"),
        (lambda arrays: arrays["path_ends"].__setitem__(-1, arrays["path_ends"][-2]), "paths must be uint8"),
        (lambda arrays: arrays["path_ends"].__setitem__(0, 0), "a path is there twice, or empty"),
        (lambda arrays: arrays["views"].__setitem__(0, -1), "views must be finite float64"),
        (lambda arrays: arrays["views"].__setitem__(0, np.nan), "views must be finite float64"),
        (lambda arrays: arrays.update(boards=np.zeros(3)), "boards must be finite float64 of shape"),
        (lambda arrays: arrays["beside_columns"].__setitem__(0, 80), "beside_columns must be int64 from 0 to 79"),
        (
            lambda arrays: arrays["beside_columns"].__setitem__(1, arrays["beside_columns"][0]),
            "must rise within an item",
        ),
        (lambda arrays: arrays["together_starts"].__setitem__(0, 1), "together_starts must be 81 from 0"),
        (lambda arrays: arrays.update(together_values=np.zeros((2, 2))), "together_values must be finite"),
    ],
)
def test_counts_that_make_no_sense_are_refused(folder: Path, change: Callable[[Arrays], object], message: str) -> None:
    arrays = {name: array.copy() for name, array in read_arrays((folder / COUNTS).read_bytes()).items()}
    change(arrays)
    changed(folder, COUNTS, write_arrays(arrays))
    with pytest.raises(ArtifactError, match=message):
        read_related(folder)


def test_a_ranker_that_makes_no_sense_is_refused(folder: Path) -> None:
    changed(folder, "all.safetensors", (folder / "looks.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match=r"all.safetensors makes no sense: mean must be 10 finite float64"):
        read_related(folder)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format_version", 2, "format_version must be 1"),
        ("ranker", "pickle", "ranker must be 'ranksvm' or 'lambdamart'"),
        ("ranker", "lambdamart", "files must be all.txt, counts.safetensors, looks.txt"),
        ("examination", {"power": -1, "error": None, "note": ""}, "examination.power must be a number from 0 to 10"),
        ("prior", {"mean": 0.1}, "prior.spread is missing"),
        ("files", {}, "files must be all.safetensors"),
    ],
)
def test_fields_that_make_no_sense_are_refused(folder: Path, field: str, value: Any, message: str) -> None:
    fields = unseal((folder / RELATED).read_bytes())
    fields[field] = value
    (folder / RELATED).write_bytes(seal(fields))
    with pytest.raises(ArtifactError, match=message):
        read_related(folder)


def test_another_index(fitted: RelatedModel, shop: Shop) -> None:
    manifest = shop.snapshot.version.manifest
    fitted.require(shop.index, manifest)
    with pytest.raises(MismatchError, match=r"related items were fitted to log.csv with encoder 51a0"):
        fitted.require(shop.index, replace(manifest, encoder_id="other"))
    with pytest.raises(MismatchError, match="has detector none; fit anew: dqh related INDEX --log LOG --fit OUT"):
        fitted.require(shop.index, replace(manifest, detector_id=None))


def test_the_manifest_is_plain_json(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / RELATED).read_text())["kind"] == "fitted related items"
    assert read_related(tmp_path / "copy").ranker == "ranksvm"
