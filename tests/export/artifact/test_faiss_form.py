"""Empty faiss indexes of an artifact: filled by its own codes and features they rank as the artifact does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from dqh.artifact import Artifact, load_artifact
from dqh.artifact.golden import eager
from dqh.codes import hamming
from dqh.errors import ArtifactError, DqhError
from dqh.export.artifact.faiss_form import Lists, faiss_files, latent_layer, require_empty
from dqh.index import AQDIndex
from dqh.models import HashHead
from dqh.quantizers import Threshold
from tests.artifact.conftest import inputs_of, make, make_kind


def parsed(content: bytes) -> Any:
    """The index of a file that this package has written."""
    require_empty(content, "file")
    array = np.frombuffer(content, np.uint8)
    return faiss.deserialize_index_binary(array) if content[:2] == b"IB" else faiss.deserialize_index(array)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "class_index"])
def test_bits_are_ranked_by_hamming_distance(kind: str, formed: Callable[[str], Path]) -> None:
    artifact, folder = load_artifact(formed(kind)), formed(kind) / "faiss"
    answers = eager(artifact.encoder, artifact.quantizer, inputs_of(artifact, 80, seed=5))
    for name in ("binary_flat", "binary_ivf"):
        index = faiss.read_index_binary(str(folder / f"{name}.faiss"))
        assert (index.ntotal, index.is_trained) == (0, True)
        index.add(answers.codes)
        distances, _ = index.search(answers.codes[:9], 80)
        assert np.array_equal(distances, np.sort(hamming(answers.codes[:9], answers.codes), axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pq", "wide_pq"])
@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_product_quantized_codes_are_ranked_by_their_tables(
    kind: str, distance: str, formed: Callable[[str], Path]
) -> None:
    """faiss adds float32 in another order: the distance at each rank to 1e-5."""
    artifact, folder = load_artifact(formed(kind)), formed(kind) / "faiss"
    answers = eager(artifact.encoder, artifact.quantizer, inputs_of(artifact, 80, seed=5))
    own = AQDIndex(artifact.quantizer, distance=distance)
    own.add(answers.codes)
    wanted = own.search(answers.embedding[:9], 80).distances
    for name in ("pq", "ivfpq"):
        index = faiss.read_index(str(folder / f"{name}_{distance}.faiss"))
        assert (index.ntotal, index.is_trained) == (0, True)
        index.add(answers.embedding)
        found, _ = index.search(answers.embedding[:9], 80)
        assert np.abs((-found if distance == "ip" else found) - wanted).max() <= 1e-5


@pytest.mark.parametrize(
    ("activation", "threshold", "normalise"),
    [
        ("sigmoid", 0.5, False),
        ("sigmoid", 0.3, False),
        ("tanh", 0.2, False),
        ("none", -0.1, False),
        ("tanh", 0.0, True),
    ],
)
def test_the_latent_layer_sets_the_same_bits(activation: str, threshold: float, normalise: bool) -> None:
    head = HashHead(16, 12, activation=activation, normalise=normalise)
    artifact = make_kind("binary")
    head.linear.load_state_dict(artifact.encoder.head.linear.state_dict())
    artifact.encoder.head = head
    artifact = Artifact(**{**vars(artifact), "quantizer": Threshold(12, threshold=threshold)})
    answers = eager(artifact.encoder, artifact.quantizer, inputs_of(artifact, 60, seed=6))
    index = parsed(faiss_files(artifact, Lists(2))["faiss/latent.faiss"])
    assert np.array_equal(faiss.downcast_index(index.base_index).sa_encode(answers.features), answers.codes)
    index.add(answers.features)
    distances, ids = index.search(answers.features[:5], 1)
    assert np.array_equal(ids[:, 0], np.arange(5))
    assert np.allclose(distances, 0)


@pytest.mark.parametrize(
    ("activation", "threshold", "normalise", "hidden"),
    [("sigmoid", 0.0, False, None), ("tanh", 1.0, False, None), ("tanh", 0.1, True, None), ("sigmoid", 0.5, False, 4)],
)
def test_no_latent_layer_where_the_bits_are_not_linear(
    activation: str, threshold: float, normalise: bool, hidden: int | None
) -> None:
    artifact = make()
    artifact.encoder.head = HashHead(16, 12, activation=activation, normalise=normalise, hidden=hidden)
    artifact = Artifact(**{**vars(artifact), "quantizer": Threshold(12, threshold=threshold)})
    assert latent_layer(artifact) is None
    files = faiss_files(artifact, Lists(2))
    assert "faiss/latent.faiss" not in files
    assert "no `latent.faiss`" in files["faiss/README.md"].decode()


def test_lists_lie_around_the_codes_given() -> None:
    """Codes of two far groups: a query in one of them needs one list of two to find its group of 20."""
    artifact = make()
    low, high = np.zeros((20, 2), np.uint8), np.tile(np.array([[255, 15]], np.uint8), (20, 1))
    codes = np.concatenate([low, high])
    files = faiss_files(artifact, Lists(1024, codes))
    index = parsed(files["faiss/binary_ivf.faiss"])
    assert index.nlist == index.nprobe == 2
    index.add(codes)
    index.nprobe = 1
    _, ids = index.search(low[:1], 40)
    assert sorted(ids[0])[20:] == list(range(20))
    assert "2 of them, placed by 40 codes" in files["faiss/README.md"].decode()


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (Lists(0), "lists must be at least 1, got 0"),
        (Lists(4, np.zeros((3, 5), np.uint8)), r"codes of 12 bits must be uint8 of shape \(N, 2\)"),
        (Lists(4, np.zeros((0, 2), np.uint8)), "codes for the lists: got none"),
    ],
)
def test_lists_that_cannot_be(lists: Lists, message: str) -> None:
    with pytest.raises(DqhError, match=message) as found:
        faiss_files(make(), lists)
    assert found.value.exit_status == (2 if lists.number < 1 else 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"IxF2" + content[4:],
        lambda content: content[:4] + b"\xff\xff\xff\x7f" + content[8:],
        lambda content: content[:8] + b"\x01" + content[9:],
        lambda content: b"",
    ],
)
def test_other_files_are_refused(change: Callable[[bytes], bytes], formed: Callable[[str], Path]) -> None:
    content = (formed("pq") / "faiss" / "pq_l2.faiss").read_bytes()
    assert parsed(content).ntotal == 0
    with pytest.raises(ArtifactError, match=r"pq_l2.faiss is no empty faiss index of this package; export it again"):
        require_empty(change(content), "pq_l2.faiss")
