"""Codes of the classes: how far apart they are, and what images with several classes get."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.losses import centre_classifier, centre_targets, hash_centres


@given(power=st.integers(0, 6), classes=st.integers(1, 64), seed=st.integers(0, 2**40))
def test_rows_of_a_hadamard_matrix_are_orthogonal(power: int, classes: int, seed: int) -> None:
    bits = 2**power
    centres = hash_centres(min(classes, bits), bits, seed=seed)
    assert torch.equal(centres @ centres.T, bits * torch.eye(len(centres)))


def test_more_classes_than_bits_get_opposites() -> None:
    """Distances of ±4 rows of 4 bits: B / 2 = 2, and B = 4 between opposites."""
    centres = hash_centres(8, 4)
    distances = (4 - centres @ centres.T) / 2
    assert sorted(distances.flatten().tolist()) == [0] * 8 + [2] * 48 + [4] * 8


@pytest.mark.parametrize(("classes", "bits"), [(10, 48), (100, 48), (10, 12), (100, 32), (10, 5)])
def test_drawn_codes_are_balanced_and_far_apart(classes: int, bits: int) -> None:
    """Each has ⌊B / 2⌋ ones, the mean distance is at least 0.97 · B / 2, no two are alike."""
    centres = hash_centres(classes, bits, seed=3)
    assert set(centres.flatten().tolist()) == {-1.0, 1.0}
    assert set((centres > 0).sum(dim=1).tolist()) == {bits // 2}
    apart = ((bits - centres @ centres.T) / 2)[~torch.eye(classes, dtype=torch.bool)]
    assert apart.mean() >= 0.97 * bits / 2
    assert apart.min() >= (1 if bits < 12 else bits // 4)


def test_the_seed_decides() -> None:
    assert torch.equal(hash_centres(10, 48, seed=1), hash_centres(10, 48, seed=1))
    assert not torch.equal(hash_centres(10, 48, seed=1), hash_centres(10, 48, seed=2))
    assert not torch.equal(hash_centres(10, 64, seed=1), hash_centres(10, 64, seed=2))


def test_majority_by_hand() -> None:
    """Centres (+ + −), (+ − −), (− − +): all three vote + − −; the last two are split on the first and last bit."""
    centres = torch.tensor([[1.0, 1, -1], [1, -1, -1], [-1, -1, 1]])
    labels = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    targets = centre_targets(labels, centres, ties=torch.tensor([-1.0, 1, 1]))
    assert targets.tolist() == [[1, -1, -1], [-1, -1, 1], [1, 1, -1], [0, 0, 0]]


def test_single_labels_get_the_centre_of_their_class() -> None:
    centres = hash_centres(4, 8)
    assert torch.equal(centre_targets(torch.tensor([2, 0]), centres, ties=torch.ones(8)), centres[[2, 0]])


@pytest.mark.parametrize(
    ("classes", "bits", "message"),
    [
        (0, 8, "classes and bits must be at least 1, got 0 and 8"),
        (8, 0, "classes and bits must be at least 1, got 8 and 0"),
        (4, 3, "no 4 different codes with half of 3 bits set were found for the classes; take more bits"),
    ],
)
def test_errors(classes: int, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hash_centres(classes, bits)


def test_the_classifier_of_the_centres_names_the_nearest_and_does_not_train() -> None:
    classifier = centre_classifier(10, 16, seed=4)
    centres = hash_centres(10, 16, seed=4)
    assert torch.equal(classifier(centres), centres @ centres.T)
    assert classifier(centres).argmax(dim=1).tolist() == list(range(10))
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
