"""Candidates for hash centres, and which class gets which."""

from itertools import permutations

import numpy as np
import pytest
import torch

from dqh.losses.reassignment import candidates, reassigned


@pytest.mark.parametrize(
    ("classes", "bits", "shape"),
    [
        (3, 12, (4, 6, 3)),  # 2³ ≥ 6
        (10, 32, (4, 20, 8)),  # 5 bits would do, and 8 is the least that divides 32
        (200, 32, (2, 400, 16)),  # 9 bits would do
        (4, 7, (1, 8, 7)),
        (40, 17, (1, 80, 17)),  # wider than words are counted
    ],
)
def test_candidates(classes: int, bits: int, shape: tuple[int, ...]) -> None:
    book = candidates(classes, bits, seed=0)
    assert book.shape == shape
    assert set(np.unique(book)) == {-1, 1}
    assert all(len(np.unique(part, axis=0)) == 2 * classes for part in book)
    assert np.array_equal(book, candidates(classes, bits, seed=0))
    assert not np.array_equal(book, candidates(classes, bits, seed=1))


@pytest.mark.parametrize(("classes", "bits"), [(3, 2), (1, 0), (65, 7)])
def test_too_few_words_are_refused(classes: int, bits: int) -> None:
    with pytest.raises(ValueError, match=f"{bits} bits have fewer than {2 * classes} words"):
        candidates(classes, bits, seed=0)


def test_by_hand() -> None:
    """Both classes are nearest to (1, 1); the second loses less by taking (1, −1): 1.7 + .8 against 1 + .1."""
    book = np.float32([[[1, 1], [1, -1], [-1, 1], [-1, -1]]])
    means = np.float32([[0.9, 0.8], [0.9, 0.1]])
    assert reassigned(book, means, np.array([True, True])).tolist() == [[1, 1], [1, -1]]


def test_every_part_is_the_best_of_all_assignments() -> None:
    book = candidates(3, 6, seed=1)
    means = np.random.default_rng(2).uniform(-1, 1, (3, 6)).astype(np.float32)
    found = reassigned(book, means, np.ones(3, bool)).numpy().reshape(3, 2, 3)
    for part in range(2):
        own = means.reshape(3, 2, 3)[:, part]
        costs = [((own - book[part, list(order)]) ** 2).sum() for order in permutations(range(6), 3)]
        assert ((own - found[:, part]) ** 2).sum() == pytest.approx(min(costs), rel=1e-5)


def test_classes_without_images_take_what_is_left() -> None:
    book = candidates(3, 3, seed=0)
    means = np.float32([[1, 1, 1], [9, 9, 9], [-1, -1, -1]]) * book[0, 0]
    centres = reassigned(book, means, np.array([True, False, True]))
    assert torch.equal(centres[0], torch.from_numpy(book[0, 0]))
    assert len(torch.unique(centres, dim=0)) == 3
