"""Health of codebooks."""

import json

import numpy as np
import pytest
from scipy.stats import entropy

from dqh.quantizers import ProductQuantizer, codebook_usage
from dqh.quantizers import usage as module
from dqh.quantizers.usage import perplexity


def test_by_hand() -> None:
    """Part one uses codewords 0 and 4 once and three times: exp(−(¼ ln ¼ + ¾ ln ¾)) = 4 / 27^¼ = 1.75477; 2 are dead.

    Part two uses 9 alone: perplexity 1, 3 dead. Errors 1 + 0, 0, 0 and 0 + 4 of norms 1 + 81, 97, 97 and 16 + 49.
    """
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0], [1.9], [4], [6]], [[-2], [0], [2], [9]]]))
    usage = codebook_usage(quantizer, np.array([[-1.0, 9], [4, 9], [4, 9], [4, 7]]))
    assert usage.perplexity == pytest.approx((4 / 27**0.25, 1))
    assert usage.dead == (2, 3)
    assert usage.error == pytest.approx(5 / (82 + 97 + 97 + 65))
    assert json.loads(json.dumps(usage.to_json())) == usage.to_json()


def test_perplexity_against_scipy() -> None:
    counts = np.random.default_rng(0).integers(0, 5, 100)
    assert perplexity(counts) == pytest.approx(np.exp(entropy(counts)))
    assert perplexity(np.full(16, 3)) == pytest.approx(16)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    embedding = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    quantizer = ProductQuantizer(2, 8).fit(embedding)
    whole = codebook_usage(quantizer, embedding)
    monkeypatch.setattr(module, "CHUNK", 7)
    assert codebook_usage(quantizer, embedding).error == pytest.approx(whole.error)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.zeros((3, 4)), r"shape \(N, 2\)"),
    ],
)
def test_errors(embedding: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        codebook_usage(ProductQuantizer.from_codebooks(np.zeros((2, 2, 1))), embedding)


def test_embeddings_that_are_all_zero_have_no_relative_error() -> None:
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0]]]))
    found = codebook_usage(quantizer, np.zeros((3, 1)))
    assert (found.perplexity, found.dead, found.error) == ((1.0,), (1,), None)
