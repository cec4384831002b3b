"""DPQ: its terms by hand, and what cannot be."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from dqh.methods.dpq import DPQ
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DPQ:
    given = {"classes": 2, "bits": 1, "codewords": 2, "dimension": 1, "optimizer": Optimizer()} | arguments
    method = DPQ(Identity(size=3), **given)
    with torch.no_grad():
        method.codebooks.words.copy_(torch.tensor([[[0.0], [1.0]]]))
        method.classifier.weight.copy_(torch.tensor([[1.0], [0.0]]))
        nn.init.zeros_(method.classifier.bias)
    return method


def test_the_terms_by_hand() -> None:
    """z = ½ lies between both words: the soft form is ½, the hard one the first word, 0; the centre of class 0 is 1.

    Scores (½, 0) and (0, 0): log(1 + e^−½) and log 2. Squares ¼ and 1: ⅝, times 2. Gini ½ of batch and image cancel.
    """
    method = network(central=2.0, gini=1.0)
    terms = method.losses(EncoderOutput(torch.tensor([[0.5]]), torch.zeros(1, 3)), torch.tensor([0]))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"soft": math.log(1 + math.exp(-0.5)), "hard": math.log(2), "central": 1.25, "gini": 0.0}
    )


def test_a_sharp_softmax_is_the_nearest_word() -> None:
    terms = network(sharpness=1e4).losses(EncoderOutput(torch.tensor([[0.7]]), torch.zeros(1, 3)), torch.tensor([0]))
    assert terms["soft"].item() == pytest.approx(terms["hard"].item())


def test_the_gradient_of_the_hard_form_is_that_of_the_soft_one() -> None:
    method = network(central=0.0, gini=0.0)
    z = torch.tensor([[0.4]], requires_grad=True)
    output = EncoderOutput(z, torch.zeros(1, 3))
    hard = torch.autograd.grad(method.losses(output, torch.tensor([0]))["hard"], z)[0]
    share = torch.sigmoid(torch.tensor(0.4**2 - 0.6**2))  # of the second word, 1: the soft form itself
    slope = share * (1 - share) * 2  # d(z² − (z − 1)²) / dz = 2
    assert hard.item() == pytest.approx(-0.5 * slope.item())  # scores (0, 0): the loss has slope −½ in the first


def test_several_labels_share_their_centre() -> None:
    """Both classes: the centre is the mean ½ of 1 and 0; an image without a class has 0."""
    method = network(central=1.0)
    output = EncoderOutput(torch.tensor([[0.5], [0.5]]), torch.zeros(2, 3))
    terms = method.losses(output, torch.tensor([[True, True], [False, False]]))
    assert terms["central"].item() == pytest.approx(((0 + 0.25) + (0.25 + 0)) / 2 / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"sharpness": 0.0}, "sharpness must be above 0, central and gini at least 0, got 0.0, 0.01 and 0.1"),
        ({"central": -1.0}, "got 1.0, -1.0 and 0.1"),
        ({"gini": -1.0}, "got 1.0, 0.01 and -1.0"),
        ({"bits": 3, "codewords": 4}, "bits must be a multiple of log2 codewords = 2, got 3"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
