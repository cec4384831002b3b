"""Golden inputs and their answers, and which bits may differ."""

from pathlib import Path

import numpy as np
import pytest

from dqh.artifact import Artifact, golden_files, load_artifact, save_artifact, verify_golden
from dqh.artifact.answers import Answers
from dqh.artifact.golden import Golden, Verdict, compare, parity
from dqh.artifact.manifest import read_manifest
from dqh.codes import pack, pack_indices
from dqh.errors import ArtifactError
from dqh.models import Encoder, HashHead, Identity
from dqh.quantizers import ClassIndex, ProductQuantizer, Threshold
from tests.artifact.conftest import make
from tests.artifact.forging import write_files, write_manifest
from tests.artifact.test_reading import npy


def test_golden_answers_hold(saved: Path) -> None:
    verdict = verify_golden(load_artifact(saved), saved)
    assert verdict == (4, 0, 0, 0.0)  # three arrays and a JPEG
    assert verdict.holds


def test_golden_answers_catch_another_encoder(saved: Path) -> None:
    verdict = verify_golden(make(seed=1), saved)
    assert verdict.flips > 0
    assert not verdict.holds


def test_vectors_have_golden_answers_too(tmp_path: Path) -> None:
    vectors = Artifact(
        **{**vars(make()), "encoder": Encoder(Identity(size=5), HashHead(5, 12)).eval(), "classifier": None}
    )
    golden = golden_files(vectors, np.ones((2, 5), np.float32))
    save_artifact(vectors, tmp_path / "a", golden=golden)
    loaded = load_artifact(tmp_path / "a")
    assert loaded.classifier is None
    assert verify_golden(loaded, tmp_path / "a") == (2, 0, 0, 0.0)


def answers(codes: np.ndarray, embedding: list[list[float]]) -> Answers:
    return Answers(codes, np.array(embedding, np.float32), np.zeros((len(codes), 1), np.float32))


def test_a_bit_within_a_millionth_of_the_threshold_may_differ() -> None:
    """0.5 + 6e-7 is soft, 0.5 + 3e-6 is not; the bits of the third dimension are equal."""
    wanted, found = (pack(np.array([bits], bool)) for bits in ([0, 0, 1], [1, 1, 1]))
    assert parity(wanted, answers(found, [[0.5 + 6e-7, 0.5 + 3e-6, 0.5]]), Threshold(3)) == (1, 1)
    assert parity(wanted, answers(found, [[np.nan, 0.5, 0.5]]), Threshold(3)) == (2, 0)


def test_a_codeword_as_near_as_the_nearest_may_differ() -> None:
    """Codewords 0, 1, 2, 9 on a line, 2 bits each.

    At 0.5 both 0 and 1 are nearest (bits 00 and 10); at 0.5 + 1e-4 the squared distances 0.2501 and 0.2499 differ by
    8e-4 of the larger; and 2 is not among the nearest of 0.5 (bits 01).
    """
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0], [2.0], [9.0]]], np.float32))
    for value, kept, other, wanted in (
        (0.5, 0, 1, (0, 1)),
        (0.5 + 1e-6, 0, 1, (0, 1)),
        (0.5 + 1e-4, 0, 1, (1, 0)),
        (0.5, 0, 2, (1, 0)),
        (0.5, 2, 0, (1, 0)),
        (0.5, 1, 1, (0, 0)),
    ):
        codes = (pack_indices(np.array([[each]]), 2) for each in (kept, other))
        assert parity(next(codes), answers(next(codes), [[value]]), quantizer) == wanted, value


def test_an_equal_codeword_far_away_does_not_excuse_a_flip() -> None:
    """Codewords 1 and 2 are equal and nearest; that an answer names 3 has nothing to do with it."""
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0], [1.0], [9.0]]], np.float32))
    codes = [pack_indices(np.array([[each]]), 2) for each in (1, 3)]
    assert parity(codes[0], answers(codes[1], [[1.2]]), quantizer) == (1, 0)


def test_classes_of_equal_scores_may_differ() -> None:
    kept, other = (pack(np.array([bits], bool)) for bits in ([1, 0, 0], [0, 1, 0]))
    assert parity(kept, answers(other, [[1.0, 1.0 + 1e-6, 0.0]]), ClassIndex(3)) == (0, 2)
    assert parity(kept, answers(other, [[1.0, 1.1, 0.0]]), ClassIndex(3)) == (2, 0)


def test_features_are_compared_by_the_largest() -> None:
    golden = Golden(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint8), np.array([[4.0, 0.0]], np.float32))
    given = Answers(golden.codes, np.zeros((1, 3), np.float32), np.array([[4.0, 0.5]], np.float32))
    assert compare(golden, given, Threshold(3)) == Verdict(1, 0, 0, 0.125)
    assert not compare(golden, given, Threshold(3)).holds
    nan = given._replace(features=np.full((1, 2), np.nan, np.float32))
    assert not compare(golden, nan, Threshold(3)).holds
    with pytest.raises(ArtifactError, match="answers of shapes"):
        compare(golden, given._replace(features=np.zeros((2, 2), np.float32)), Threshold(3))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("inputs.npy", npy(np.zeros((0, 3, 16, 16), np.uint8)), "holds inputs of shape"),
        ("inputs.npy", npy(np.zeros((3, 3, 8, 8), np.uint8)), "holds inputs of shape"),
        ("inputs.npy", npy(np.array([None])), "it holds object, which is not unpickled"),
        ("codes.npy", npy(np.zeros((4, 3), np.uint8)), "codes of 12 bits must be"),
        ("codes.npy", npy(np.zeros((9, 2), np.uint8)), "9 codes"),
        ("features.npy", npy(np.zeros((4, 2), np.float32)), r"features of shape \(4, 2\)"),
        ("image.jpg", b"text", "not an image in a known format"),
    ],
)
def test_golden_files_that_do_not_fit(saved: Path, file: str, content: bytes, message: str) -> None:
    """Someone has put in other files and hashed them again."""
    manifest = read_manifest(saved)
    listed = write_files(saved, {f"golden/{file}": content})
    write_manifest(saved, manifest | {"files": manifest["files"] | listed})
    with pytest.raises(ArtifactError, match=message):
        verify_golden(load_artifact(saved), saved)
