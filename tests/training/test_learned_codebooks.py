"""Codebooks inside a network."""

import numpy as np
import pytest
import torch

from dqh.errors import NotFittedError
from dqh.training.learned_codebooks import LearnedCodebooks


def books(*, follows_gradient: bool = True) -> LearnedCodebooks:
    """M = 2, K = 2, D = 2: words 0, 1 and 0, 4."""
    codebooks = LearnedCodebooks(bits=2, codewords=2, dimension=2, follows_gradient=follows_gradient)
    with torch.no_grad():
        codebooks.words.copy_(torch.tensor([[[0.0], [1.0]], [[0.0], [4.0]]]))
        codebooks.fitted.fill_(value=True)
    return codebooks


def test_distances_and_nearest_words_by_hand() -> None:
    z = torch.tensor([[0.75, 1.0]])
    assert books().distances(z).tolist() == [[[0.5625, 0.0625], [1.0, 9.0]]]
    assert books().nearest(z).tolist() == [[1.0, 0.0]]
    assert books().mixed(torch.tensor([[[0.5, 0.5], [0.25, 0.75]]])).tolist() == [[0.5, 3.0]]


def test_nearest_words_are_the_codes_of_the_quantizer() -> None:
    codebooks = LearnedCodebooks(bits=6, codewords=8, dimension=6, follows_gradient=False)
    z = np.random.default_rng(0).standard_normal((100, 6)).astype(np.float32)
    codebooks.fit(z, seed=0)
    quantizer = codebooks.quantizer("ip")
    assert (quantizer.distance, quantizer.bits, codebooks.bits) == ("ip", 6, 6)
    np.testing.assert_allclose(codebooks.nearest(torch.from_numpy(z)), quantizer.decode(quantizer.encode(z)), rtol=1e-6)


def test_a_second_fit_goes_on_from_the_first() -> None:
    codebooks = LearnedCodebooks(bits=2, codewords=2, dimension=2, follows_gradient=False)
    z = np.array([[0, 0], [0, 4], [1, 0], [1, 4]] * 5, np.float32)
    codebooks.fit(z, seed=0)
    before = codebooks.words.clone()
    codebooks.fit(z, seed=1)
    assert torch.equal(codebooks.words, before)


def test_codebooks_of_another_length() -> None:
    z = np.random.default_rng(0).standard_normal((100, 6)).astype(np.float32)
    codebooks = LearnedCodebooks(bits=6, codewords=8, dimension=6, follows_gradient=True)
    assert codebooks.fit_others(9, z, seed=0).quantizer("l2").bits == 9
    with pytest.raises(ValueError, match="bits must be a multiple"):
        codebooks.fit_others(8, z, seed=0)


def test_who_gets_a_gradient() -> None:
    codebooks = books()
    codebooks.nearest(torch.tensor([[0.75, 1.0]])).sum().backward()
    assert codebooks.words.grad.flatten().tolist() == [0, 1, 1, 0]
    assert not list(books(follows_gradient=False).parameters())


def test_before_the_fit_there_is_no_quantizer() -> None:
    with pytest.raises(NotFittedError, match="the codebooks are not fitted"):
        LearnedCodebooks(bits=2, codewords=2, dimension=2, follows_gradient=True).quantizer("l2")
