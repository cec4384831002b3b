"""The value that chooses the epoch: mAP of images that query each other, by binary and by quantized codes."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from dqh.codes import hamming, pack
from dqh.quantizers import ProductQuantizer, Threshold
from dqh.ranking import keys
from dqh.training.validation import Choice, answerable, cannot_choose, leave_one_out_map

CPU = torch.device("cpu")


def test_leave_one_out_map_against_scikit_learn() -> None:
    """Codes on a line (k low bits set) with distances that never tie, so scikit-learn's AP needs no tie rule."""
    lengths = np.array([0, 1, 3, 7, 15, 31, 63])
    bits = (np.arange(64) < lengths[:, None]).astype(np.float32)
    codes = pack(bits > 0.5)
    labels = np.array([0, 1, 0, 1, 1, 0, 0])
    expected = []
    for row, distances in enumerate(hamming(codes, codes)):
        others = np.arange(7) != row
        assert len(set(distances[others])) == 6
        expected.append(average_precision_score(labels[others] == labels[row], -distances[others]))
    found = leave_one_out_map(Threshold(64), bits, torch.from_numpy(labels), device=CPU)
    assert found == pytest.approx(np.mean(expected))


def test_an_image_without_labels_is_relevant_to_none_not_even_itself() -> None:
    """0 finds 1 first: AP 1. 1 finds 0 and 2 at one distance: (1 + 1/2) / 2. 2 has no label: 0. Mean 7/12."""
    bits = np.array([[0, 0], [0, 1], [1, 1]], np.float32)
    labels = torch.tensor([[True, False], [True, True], [False, False]])
    found = leave_one_out_map(Threshold(2), bits, labels, device=CPU)
    assert found == pytest.approx(7 / 12)


def test_a_single_image_has_no_others() -> None:
    one = np.zeros((1, 8), np.float32)
    assert np.isnan(leave_one_out_map(Threshold(8), one, torch.zeros(1, dtype=torch.long), device=CPU))


def test_asymmetric_distances_by_hand() -> None:
    """One dimension, codewords 0 and 1; the codes of .1, .4, .9 are 0, 0, 1, the labels A, B, B.

    .1 finds the second at .1² and the third at .9²: no A among them, 0. .4 finds the first at .4², then the third, its
    own, at .6²: 1/2. .9 finds the other two at .9², a tie: (1 + 1/2) / 2. Mean (0 + .5 + .75) / 3.
    """
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0]]], np.float32))
    embedding = np.array([[0.1], [0.4], [0.9]], np.float32)
    found = leave_one_out_map(quantizer, embedding, torch.tensor([0, 1, 1]), device=CPU)
    assert found == pytest.approx(1.25 / 3)


@pytest.mark.parametrize("pairs", [2**22, 100])
def test_asymmetric_distances_against_scikit_learn(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """256 codewords for 40 images: no two have one code, so that nothing ties, also in chunks of two queries."""
    monkeypatch.setattr(keys, "_OTHERS", pairs)
    rng = np.random.default_rng(0)
    embedding, labels = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    quantizer = ProductQuantizer.from_codebooks(rng.normal(size=(3, 256, 2)).astype(np.float32))
    decoded = quantizer.decode(quantizer.encode(embedding))
    assert len(np.unique(decoded, axis=0)) == 40
    expected = []
    for row in range(40):
        others = np.arange(40) != row
        distances = ((embedding[row] - decoded[others]) ** 2).sum(1)
        expected.append(average_precision_score(labels[others] == labels[row], -distances))
    assert leave_one_out_map(quantizer, embedding, torch.from_numpy(labels), device=CPU) == pytest.approx(
        np.mean(expected)
    )


def test_the_inner_product_where_the_quantizer_has_it() -> None:
    """Codewords −1 and 2; the codes of −.9, 1, 2 are 0, 1, 1, the labels A, B, A.

    −.9 finds the other two at one distance, 1.8: (1 + 1/2) / 2. 1 has no relevant other: 0. 2 finds 1, a B, at −4, and
    then −.9 at 2: 1/2. Mean 1.25 / 3.

    Codewords 1 and 3; the codes of .9, 1.1, 3 are 0, 0, 1, the labels A, B, A: .9 and 1.1 lie next to each other, yet
    have their largest products with 3, so .9 finds its A first: 1. 1.1: 0. 3 has a tie: 3/4. Mean 1.75 / 3.
    """
    for codebook, values, wanted in (([-1, 2], [-0.9, 1, 2], 1.25 / 3), ([1, 3], [0.9, 1.1, 3], 1.75 / 3)):
        books = np.array(codebook, np.float32).reshape(1, 2, 1)
        quantizer = ProductQuantizer.from_codebooks(books, distance="ip")
        embedding = np.array(values, np.float32)[:, None]
        found = leave_one_out_map(quantizer, embedding, torch.tensor([0, 1, 0]), device=CPU)
        assert found == pytest.approx(wanted)


def test_asymmetric_distances_of_images_with_several_labels() -> None:
    """As above, labels {A}, {A, B}, {B}: .1 finds its A first: 1. .4 finds two of its own: 1. .9 has a tie: 3/4."""
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0]]], np.float32))
    embedding = np.array([[0.1], [0.4], [0.9]], np.float32)
    labels = torch.tensor([[True, False], [True, True], [False, True]])
    assert leave_one_out_map(quantizer, embedding, labels, device=CPU) == pytest.approx(2.75 / 3)


@pytest.mark.parametrize(
    ("values", "epoch", "reason"),
    [
        ([0.1, 0.5, 0.5, 0.4], 2, "val/mAP"),
        ([0.0, 0.0, 0.0], 3, "last epoch (val/mAP was 0.0000 in every epoch)"),
        ([1.0, 1.0 - 1e-12, 1.0 + 1e-13], 3, "last epoch (val/mAP was 1.0000 in every epoch)"),
        ([0.0, 0.0, 0.2, 0.2, 0.1], 3, "val/mAP"),
        ([0.9, 0.9, 0.8], 2, "val/mAP"),
        ([math.nan] * 3, 3, "last epoch (val/mAP could not be measured)"),
        ([0.3, math.nan, 0.2], 1, "val/mAP"),
        ([math.nan, 0.2, 0.1], 2, "val/mAP"),
        ([0.7], 1, "val/mAP"),
    ],
)
def test_a_value_that_says_nothing_leaves_the_choice_to_the_last_epoch(
    values: list[float], epoch: int, reason: str
) -> None:
    choice = Choice()
    for number, value in enumerate(values, start=1):
        choice = choice.after(number, value)
    assert (choice.epoch, choice.reason("val/mAP", epochs=len(values))) == (epoch, reason)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([4, 0, 2], "no two of the 3 share a label"),
        ([5, 5, 5], "all 3 share a label"),
        ([5, 5, 1], None),
        ([7], "there is 1 of them"),
        ([[True, False], [False, True], [False, False]], "no two of the 3 share a label"),
        ([[True, False], [True, True]], "all 2 share a label"),
        ([[True, False], [True, True], [False, False]], None),
    ],
)
def test_labels_of_which_every_code_makes_the_same_of(labels: list[object], reason: str | None) -> None:
    """The claim is held against the value itself, on two different sets of codes."""
    tensor = torch.tensor(labels)
    relevant = (tensor[:, None] == tensor) if tensor.ndim == 1 else (tensor[:, None] & tensor).any(2)
    assert answerable(tensor) == int((relevant & ~torch.eye(len(tensor), dtype=torch.bool)).any(1).sum())
    assert cannot_choose(tensor) == reason
    if reason and len(labels) > 1:
        bits = np.random.default_rng(0).integers(0, 2, (2, len(labels), 16)).astype(np.float32)
        one, other = (leave_one_out_map(Threshold(16), part, tensor, device=CPU) for part in bits)
        assert one == pytest.approx(other, abs=1e-12)
