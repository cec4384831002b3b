"""What goes into an encoder and what comes out, read without its weights."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from dqh.artifact import Interface, load_artifact, load_interface, read_manifest
from dqh.errors import ArtifactError, NoArtifactError
from tests.artifact.forging import write_files, write_manifest

DATA = Path(__file__).parent / "data"


def plainly(interface: Interface) -> tuple[object, ...]:
    quantizer = interface.quantizer
    state = {name: array.tolist() for name, array in quantizer.state().items()}
    return (*interface._replace(quantizer=None), type(quantizer), quantizer.bits, quantizer.distance, state)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["artifact_v1", "artifact_v2_binary", "artifact_v2_pq"])
def test_it_is_that_of_the_artifact_and_the_weights_are_not_read(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copytree(DATA / name, tmp_path / name))
    wanted = plainly(load_artifact(path).interface)
    if name != "artifact_v1":  # whose id is made anew
        (path / "encoder.safetensors").unlink()
    assert plainly(load_interface(path)) == wanted


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("bits", 13, "a binary quantizer of 13 dimensions behind a head of 12"),
        ("code_kind", "pq", "codebooks must be there, got threshold"),
        ("bit_rule", "bit = 1", "bit_rule must be 'bit = embedding > threshold'"),
        ("encoder_id", "x", "encoder_id must be"),
        ("kind", "index", "artifact.json does not describe an artifact"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: Any, text: str, tmp_path: Path) -> None:
    path = Path(shutil.copytree(DATA / "artifact_v2_binary", tmp_path / "binary"))
    write_manifest(path, read_manifest(path) | {field: value})
    for read in (load_interface, load_artifact):
        with pytest.raises(ArtifactError, match=text):
            read(path)


def test_a_quantizer_of_no_numbers_is_refused(tmp_path: Path) -> None:
    path = Path(shutil.copytree(DATA / "artifact_v2_binary", tmp_path / "binary"))
    state = load((path / "quantizer.safetensors").read_bytes()) | {"threshold": np.array(np.nan)}
    manifest = read_manifest(path)
    files = manifest["files"] | write_files(path, {"quantizer.safetensors": save(state)})
    write_manifest(path, manifest | {"files": files})
    with pytest.raises(ArtifactError, match="threshold must be finite, it holds NaN or infinity"):
        load_interface(path)
    (path / "quantizer.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match="is damaged"):
        load_interface(path)
    with pytest.raises(NoArtifactError, match="no artifact at"):
        load_interface(tmp_path)
