"""The graph gives the codes of the quantizers."""

import numpy as np
import pytest
import torch

from dqh.artifact.golden import eager
from dqh.codes import pack
from dqh.export.artifact.graph import Pack, example_of, graph_of
from dqh.quantizers import ProductQuantizer
from dqh.quantizers.graph import ProductBits
from tests.artifact.conftest import KINDS, inputs_of, make_kind


@pytest.mark.parametrize("bits", [1, 8, 12, 64])
def test_bits_are_packed_low_first(bits: int) -> None:
    values = np.random.default_rng(0).random((9, bits)) < 0.5
    assert np.array_equal(Pack(bits)(torch.from_numpy(values.astype(np.int32))).numpy(), pack(values))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 50])
def test_the_graph_answers_like_the_encoder(kind: str, count: int) -> None:
    artifact = make_kind(kind)
    inputs = inputs_of(artifact, count, seed=3)
    answers = graph_of(artifact)(torch.from_numpy(inputs))
    wanted = eager(artifact.encoder, artifact.quantizer, inputs)
    assert list(answers) == ["codes", "embedding", "features"]
    assert answers["codes"].dtype == torch.uint8
    for found, own in zip(answers.values(), wanted, strict=True):
        assert np.array_equal(found.detach().numpy(), own)
    assert len(np.unique(wanted.codes, axis=0)) > min(count, 3) // 2


@pytest.mark.parametrize("codewords", [2, 256, 65_536])
@pytest.mark.parametrize("rotated", [False, True])
def test_any_number_of_codewords(codewords: int, rotated: bool) -> None:
    """Embeddings near and on codewords, two of which are equal."""
    generator = np.random.default_rng(codewords)
    codebooks = generator.standard_normal((2, codewords, 3)).astype(np.float32)
    codebooks[0, -1] = codebooks[0, 0]
    rotation = np.linalg.qr(generator.standard_normal((6, 6)))[0] if rotated else None
    quantizer = ProductQuantizer.from_codebooks(codebooks, rotation=rotation)
    on = quantizer.decode(quantizer.encode(generator.standard_normal((20, 6))))
    last = np.concatenate([codebooks[0, -1], codebooks[1, -1]])[None]
    embedding = np.concatenate([on, on + 0.1, last if rotation is None else last @ rotation.T]).astype(np.float32)
    codes = Pack(quantizer.bits)(ProductBits(quantizer)(torch.from_numpy(embedding))).numpy()
    assert np.array_equal(codes, quantizer.encode(embedding))
    assert quantizer.codewords_of(codes)[-1, 0] == 0


def test_the_example_has_two_inputs_of_the_right_kind() -> None:
    assert [(example_of(make_kind(kind)).shape, example_of(make_kind(kind)).dtype) for kind in ("binary", "pq")] == [
        ((2, 3, 16, 16), torch.uint8),
        ((2, 5), torch.float32),
    ]
