"""Schedules, parameter groups and learning rates layer by layer."""

import math

import pytest
import torch
from torch import nn

from dqh.errors import ConfigError
from dqh.training import Optimizer


class Network(nn.Module):
    """Two layers with telling names."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        self.classifier = nn.Linear(3, 2)


def rates(optimizer: Optimizer, network: nn.Module) -> dict[str, tuple[float, float]]:
    """Parameter name → learning rate and weight decay."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.groups(network)
        for parameter in group["params"]
    }


def test_the_rates_of_the_authors_release() -> None:
    """Lin et al.'s release: latent layer × 1, classifier × 10, biases × 2 and without decay."""
    optimizer = Optimizer(lr=1e-3, weight_decay=5e-4, lr_multipliers={"classifier": 10}, bias_lr_multiplier=2)
    found = rates(optimizer, Network())
    assert found["encoder.0.weight"] == (1e-3, 5e-4)
    assert found["encoder.0.bias"] == (2e-3, 0)
    assert found["encoder.1.weight"] == (1e-3, 0)  # a norm's scale is no matrix
    assert found["classifier.weight"] == (1e-2, 5e-4)
    assert found["classifier.bias"] == (2e-2, 0)


def test_the_classifier_has_a_decay_of_its_own() -> None:
    """Its weights, and of a bias none."""
    found = rates(Optimizer(lr=1, weight_decay=0.1, classifier_weight_decay=2.0), Network())
    assert found["classifier.weight"] == (1, 2.0)
    assert found["classifier.bias"] == (1, 0)
    assert found["encoder.0.weight"] == (1, 0.1)
    assert rates(Optimizer(lr=1, classifier_weight_decay=0.0), Network())["classifier.weight"] == (1, 0)
    for wrong in (-1, "much", math.nan):
        with pytest.raises(ValueError, match=rf"classifier_weight_decay at least 0, auto or null, got {wrong}"):
            Optimizer(classifier_weight_decay=wrong)


def test_a_decay_that_follows_the_number_of_images() -> None:
    """5 at up to 1,000 images, 5 · 10^-0.27 = 2.685 at 10,000."""
    automatic = Optimizer(lr=1, classifier_weight_decay="auto")
    for images, decay in ((1, 5), (1000, 5), (10_000, 2.685)):
        suited = automatic.for_images(images)
        assert rates(suited, Network())["classifier.weight"][1] == pytest.approx(decay, abs=1e-3)
        assert suited.for_images(5) is suited
    slow = Optimizer(lr=1, lr_images=400).for_images(100)
    assert (slow.lr, slow.lr_images, slow.for_images(5)) == (0.5, None, slow)  # √(100 / 400)
    assert Optimizer(lr=1, lr_images=400).for_images(500).lr == 1
    with pytest.raises(ValueError, match="lr_images at least 1 or null, got 0"):
        Optimizer(lr_images=0)
    with pytest.raises(ValueError, match=r"is auto; call for_images\(number of training images\) first"):
        automatic.groups(Network())


def test_the_longest_prefix_counts_and_zero_freezes() -> None:
    network = Network()
    found = rates(Optimizer(lr=1, lr_multipliers={"encoder": 0, "encoder.1": 0.5}), network)
    assert set(found) == {"encoder.1.weight", "encoder.1.bias", "classifier.weight", "classifier.bias"}
    assert found["encoder.1.weight"][0] == 0.5
    assert not network.encoder[0].weight.requires_grad


def test_nested_multipliers_are_dotted_ones() -> None:
    """As `optimizer.lr_multipliers.encoder.1=0.5` on the command line gives them."""
    assert Optimizer(lr_multipliers={"encoder": {"1": 0.5}}).lr_multipliers == {"encoder.1": 0.5}


def test_schedules_by_hand() -> None:
    """10 steps, warm-up of 2: 1/3, 2/3, then 8 steps from 1 downward."""
    linear = Optimizer(schedule="linear", warmup=0.2)
    assert [linear.factor(step, 10) for step in (0, 1, 2, 6, 9)] == pytest.approx([1 / 3, 2 / 3, 1, 0.5, 0.125])
    cosine = Optimizer(schedule="cosine", warmup=0.2)
    assert [cosine.factor(step, 10) for step in (2, 6, 10)] == pytest.approx([1, 0.5, 0])
    step = Optimizer(schedule="step", warmup=0, milestones=(0.5, 0.8), gamma=0.1)
    assert [step.factor(each, 10) for each in (4, 5, 8)] == pytest.approx([1, 0.1, 0.01])
    assert Optimizer(schedule="constant", warmup=0).factor(9, 10) == 1


def test_the_built_schedule_moves_the_rate() -> None:
    network = Network()
    optimizer, schedule = Optimizer(lr=1.0, schedule="linear", warmup=0).build(network, 4)
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx([1, 0.75, 0.5, 0.25])


def test_both_optimizers_are_torchs() -> None:
    assert isinstance(Optimizer(name="adamw").build(Network(), 1)[0], torch.optim.AdamW)
    assert Optimizer(name="sgd", momentum=0).build(Network(), 1)[0].defaults["nesterov"] is False


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Optimizer(lr=0, momentum=1), r"wanted lr above 0, got 0; momentum in 0 … 1, 1 excluded, got 1"),
        (lambda: Optimizer(schedule="step", milestones=(1.5,)), r"milestones in 0 … 1, got \(1.5,\)"),
        (
            lambda: Optimizer(lr=math.inf, weight_decay=math.nan),
            "above 0, got inf; weight_decay at least 0, got nan",
        ),
        (lambda: Optimizer(milestones=(0.5,)), "schedule step with milestones, or another without, got cosine"),
        (lambda: Optimizer(lr_multipliers={"head": "fast"}), "lr_multipliers numbers of at least 0"),
        (lambda: Optimizer(lr_multipliers={"head": -1}), "lr_multipliers numbers of at least 0"),
        (lambda: Optimizer(lr_multipliers={"head": True}), "lr_multipliers numbers of at least 0"),
        (lambda: Optimizer(lr_multipliers={"head": float("inf")}), "lr_multipliers numbers of at least 0"),
        (lambda: Optimizer(bias_lr_multiplier=float("inf")), "bias_lr_multiplier at least 0, got inf"),
        (lambda: Optimizer(gamma=-1), "gamma above 0, got -1"),
        (lambda: Optimizer(gamma=float("nan")), "gamma above 0, got nan"),
        (lambda: Optimizer(lr_multipliers={"clasifier": 2}).groups(Network()), "did you mean 'classifier'"),
        (lambda: Optimizer(lr_multipliers={"encoder": 0, "classifier": 0}).groups(Network()), "nothing would train"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_all_unknown_prefixes_are_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        Optimizer(lr_multipliers={"clasifier": 2, "encodr.0": 2}).groups(Network())
    assert len(caught.value.problems) == 2
