"""ADSH: its two terms by hand, and how the codes follow."""

from typing import Any

import pytest
import torch

from dqh.losses import database_codes
from dqh.methods.adsh import ADSH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer
from dqh.training.module import TrainingBatch


def network(**arguments: Any) -> ADSH:
    return ADSH(Identity(size=6), **({"classes": 3, "bits": 2, "optimizer": Optimizer()} | arguments))


def terms(method: ADSH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])

ROWS = torch.tensor([4, 7, 9])


def step(method: ADSH, u: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> dict[str, float]:
    batch = TrainingBatch(torch.zeros(len(u), 6), labels, rows)
    return {name: value.item() for name, value in method.losses_of_step(EncoderOutput(u, u), batch).items()}


def test_the_loss_by_hand() -> None:
    """Two of different classes, B = 2: (½, ½) with the signs (−1, 1) of the other, and back: 0 and 0 over 2 want −½.

    Each value is ½ from its sign; γ / (N·B) = 2 / 4.
    """
    u = torch.tensor([[0.5, 0.5], [-0.5, 0.5]])
    assert terms(network(weight=2.0), u, torch.tensor([0, 1])) == pytest.approx({"asymmetric": 0.25, "codes": 0.125})


def test_a_step_meets_the_codes_of_all_training_images_that_were_seen() -> None:
    """The first step gives 4 and 7 the codes (1, 1) and (−1, 1); in the second (½, 1) of 9 meets those: ¾ and ¼.

    It is of the class of 4: (¾ − 1)² and (¼ + ½)². Its values are ½ and 0 from its signs; γ / (n·B) = 6 / 6.
    """
    method = network(weight=6.0)
    method.meet(ROWS, LABELS[[0, 2, 1]])
    step(method, torch.tensor([[0.5, 0.5], [-0.5, 0.5]]), torch.tensor([0, 1]), ROWS[:2])
    found = step(method, torch.tensor([[0.5, 1.0]]), torch.tensor([0]), ROWS[2:])
    assert found == pytest.approx({"asymmetric": (1 / 16 + 9 / 16) / 2, "codes": 0.25 / 2})


def test_codes_follow_the_network() -> None:
    """Codes are those of the first embedding, until `follow`; which is `database_codes` of what was seen last."""
    method = network(weight=1.0, queries=3)
    method.meet(ROWS, LABELS)
    step(method, CODES, LABELS, ROWS)
    step(method, -CODES, LABELS, ROWS)
    before = method.codes.values.clone()
    assert before.tolist() == [[1, 1], [1, -1], [-1, 1]]
    method.follow(0)
    about = {"labels": LABELS, "places": torch.arange(3), "negative_target": -0.5, "weight": 1.0}
    assert torch.equal(method.codes.values, database_codes(before, -CODES, **about))
    assert not torch.equal(method.codes.values, before)


def test_images_that_were_not_seen_get_no_code_and_others_query_after_each_epoch() -> None:
    method = network(queries=1)
    method.meet(ROWS, LABELS)
    step(method, CODES[:2], LABELS[:2], ROWS[:2])
    for epoch in (0, 1, 2):
        method.follow(epoch)
        assert method.codes.values[2].tolist() == [0, 0]
        assert method.codes.seen.tolist() == [True, True, False]


def test_a_network_that_was_never_trained_has_no_codes_to_follow() -> None:
    method = network()
    method.follow(0)
    method.meet(ROWS, LABELS)
    method.follow(0)
    assert not method.codes.values.any()


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"weight": -1.0}, "weight must be at least 0, got -1.0"),
        ({"queries": 0}, "queries must be at least 1, got 0"),
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"negative_target": 1.0}, "negative_target must be balanced or in −1 … 1, 1 excluded, got 1.0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
