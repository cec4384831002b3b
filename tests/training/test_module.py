"""The base module: loss terms, batches, validation, what trains, and how the optimizer is asked for."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dqh.errors import NonFiniteLossError
from dqh.models import Encoder, EncoderOutput, HashHead, Identity
from dqh.quantizers import Threshold
from dqh.training import module as modules
from dqh.training.module import HashModule, Measured, TrainingBatch, full_float32
from dqh.training.optimizer import Optimizer

LABELS = torch.tensor([0, 1, 1])
EMBEDDING = torch.tensor([[1.0, 2], [3, 4], [-1, 6]])
BATCH = TrainingBatch(EMBEDDING, LABELS, torch.tensor([4, 5, 6]))


class Plain(HashModule):
    """Vectors (N, 2) are their own embedding; the terms of the loss are the mean, and 10 times that of the labels."""

    method = "plain"

    def __init__(self, *, classifier: bool = False) -> None:
        head = HashHead(2, 2, activation="none")
        scores = nn.Linear(2, 2) if classifier else None
        super().__init__(Encoder(Identity(size=2), head), classifier=scores, optimizer=Optimizer(lr=0.1))
        with torch.no_grad():
            for layer in (head.linear, scores):
                if layer is not None:
                    layer.weight.copy_(torch.eye(2))
                    layer.bias.zero_()

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        return {"first": output.embedding.mean(), "second": 10 * labels.float().mean()}

    def quantizer(self) -> Threshold:
        return Threshold(2, threshold=0.0)


class Diagnosed(Plain):
    """Tells the largest value beside the loss."""

    def diagnostics(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        return {"largest": output.embedding.max(), "labels": labels.sum()}


def in_trainer(module: HashModule, **fields: Any) -> HashModule:
    module._trainer = SimpleNamespace(**fields)
    return module


def test_a_module_has_its_parts() -> None:
    module = Plain(classifier=True)
    assert (module.bits, HashModule.least_images, HashModule.refit_every) == (2, 1, None)
    assert isinstance(module.classifier, nn.Linear)
    assert module.optimizer.lr == 0.1
    assert module.diagnostics(EncoderOutput(EMBEDDING, EMBEDDING), LABELS) == {}


def test_a_step_has_the_sum_of_the_terms_and_each_without_its_gradient() -> None:
    """15 / 6 and 10 · 2 / 3."""
    found = Plain().training_step(BATCH, 0)
    assert found is not None
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"loss": 2.5 + 20 / 3, "first": 2.5, "second": 20 / 3}
    )
    assert [value.requires_grad for value in found.values()] == [True, False, False]


def test_a_step_of_one_image_is_a_step_and_a_compiled_forward_pass_takes_the_place_of_the_encoder() -> None:
    module = Plain()
    module.forward_of_step = lambda images: EncoderOutput(2 * images, images)
    found = module.training_step(TrainingBatch(*(values[:1] for values in BATCH)), 0)
    assert found is not None
    assert found["loss"].item() == 3


def test_a_batch_without_a_good_image_makes_no_step() -> None:
    module = Plain()
    empty = TrainingBatch(*(values[:0] for values in BATCH))
    assert module.training_step(empty, 0) is None
    module.validation_step(empty, 0)
    assert module._validation == []


def test_one_image_that_batch_normalisation_cannot_use_makes_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the others of a batch are unusable; of several processes it is one of a batch, which they share."""
    module = Plain()
    module.encoder.head = HashHead(2, 2, activation="none", hidden=3)
    one = TrainingBatch(*(values[:1] for values in BATCH))
    assert module.training_step(one, 0) is None
    assert module.training_step(BATCH, 0) is not None
    monkeypatch.setattr(modules, "count", lambda: 2)
    with pytest.raises(ValueError, match="more than 1 value per channel"):  # this norm shares nothing
        module.training_step(one, 0)


def test_progress_is_the_share_of_the_steps_and_0_outside_of_a_training() -> None:
    module = Plain()
    assert (module.progress, module.in_training) == (0.0, False)
    in_trainer(module, global_step=30, estimated_stepping_batches=40.0)
    assert (module.progress, module.in_training) == (0.75, True)
    assert in_trainer(module, global_step=3, estimated_stepping_batches=0).progress == 3


def test_scores_are_those_of_the_classifier() -> None:
    assert Plain().scores(EMBEDDING) is None
    module = Plain(classifier=True)
    assert module.classifier is not None
    module.classifier.bias.data.fill_(1)
    assert torch.equal(module.scores(EMBEDDING), EMBEDDING + 1)


def test_rows_of_all_processes_meet_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps that move weights: a fine-tuning is one, with its layers in evaluation mode."""
    monkeypatch.setattr(modules, "gather", lambda values: torch.cat([values, values]))
    assert len(Plain().train().together(LABELS)) == len(Plain().eval().together(LABELS)) == 6
    with torch.no_grad():
        assert Plain().eval().together(LABELS) is LABELS


@pytest.mark.parametrize("batch_idx", [0, 3])
def test_a_validation_batch_is_kept_with_its_place(batch_idx: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores are the embedding: of the labels 0, 1, 1 the first is named 1. Process 1 of 2: place 2 i + 1."""
    monkeypatch.setattr(modules, "count", lambda: 2)
    monkeypatch.setattr(modules, "rank", lambda: 1)
    module = Diagnosed(classifier=True)
    with torch.no_grad():
        module.validation_step(BATCH, batch_idx)
    (found,) = module._validation
    assert found.place == 2 * batch_idx + 1
    np.testing.assert_array_equal(found.embedding, EMBEDDING)
    assert torch.equal(found.labels, LABELS)
    wanted = {"loss": 2.5 + 20 / 3, "largest": 6, "labels": 2, "accuracy": 2 / 3}
    assert found.values == pytest.approx(wanted)


def test_one_image_is_a_validation_batch_and_only_single_labels_have_an_accuracy() -> None:
    one = TrainingBatch(*(values[:1] for values in BATCH))
    several = BATCH._replace(labels=torch.tensor([[True, False]] * 3))
    plain, scored = Plain(), Plain(classifier=True)
    with torch.no_grad():
        plain.validation_step(one, 0)
        scored.validation_step(several, 0)
    assert [len(part.embedding) for part in plain._validation] == [1]
    assert [set(part.values) for part in plain._validation + scored._validation] == [{"loss"}, {"loss"}]


def test_a_validation_that_is_not_finite_names_its_images() -> None:
    """Rows 5 and 6 of the source: one has a NaN, one an infinity, of two values each."""
    data = SimpleNamespace(source=SimpleNamespace(ids=np.array([f"image {row}" for row in range(9)])))
    module = in_trainer(Plain(), datamodule=data, global_step=7, current_epoch=1)
    embedding = torch.tensor([[1.0, 2], [torch.nan, 4], [5, torch.inf]])
    message = r"step 7 \(epoch 2\).* 2 images, such as image 5, image 6; lower"
    with pytest.raises(NonFiniteLossError, match=message):
        module.require_finite(embedding, BATCH.rows)
    with pytest.raises(NonFiniteLossError, match=message), torch.no_grad():
        module.validation_step(BATCH._replace(images=embedding), 0)
    assert module._validation == []
    module.require_finite(EMBEDDING, BATCH.rows)


def test_validation_is_over_the_images_of_all_processes_in_their_order(monkeypatch: Any) -> None:
    """Means 1, 4, 7 over 3, 1, 2 images: (3 + 4 + 14) / 6. The second batch is the other process's."""
    module, logged, measured = Plain(), {}, []
    first = [Measured(0, np.full((3, 12), 0.1, np.float32), torch.zeros(3).long(), {"loss": 1.0, "other": 2.0})]
    first.append(Measured(2, np.full((2, 12), 0.3, np.float32), torch.full((2,), 2), {"loss": 7.0}))
    second = [Measured(1, np.full((1, 12), 0.2, np.float32), torch.ones(1).long(), {"loss": 4.0})]
    first[1].values["other"] = second[0].values["other"] = 2.0

    def leave_one_out(quantizer: Any, embedding: Any, labels: Any, *, device: Any) -> float:
        assert isinstance(quantizer, Threshold)
        measured.append((embedding[:, 0].tolist(), labels.tolist()))
        return 0.5

    monkeypatch.setattr(modules, "everyone", lambda own: [list(own), second])
    monkeypatch.setattr(modules, "leave_one_out_map", leave_one_out)
    monkeypatch.setattr(module, "log", logged.__setitem__)
    module._validation = first
    module.on_validation_epoch_end()
    assert logged == {"val/loss": pytest.approx(21 / 6), "val/other": 2.0, "val/mAP": 0.5}
    assert measured == [(pytest.approx([0.1] * 3 + [0.2] + [0.3] * 2), [0, 0, 0, 1, 2, 2])]
    assert module._validation == []
    monkeypatch.setattr(modules, "everyone", lambda own: [list(own)])
    module._validation = [Measured(0, np.zeros((2, 12), np.float32), torch.zeros(2), {"loss": 5.0})]
    module.on_validation_epoch_end()
    assert logged["val/loss"] == 5.0
    logged.clear()
    module.on_validation_epoch_end()  # no batch of the next epoch has an image
    assert logged == {}


def test_what_is_wholly_frozen_stays_in_evaluation() -> None:
    """What has no parameters drops in training; a layer of which a part is frozen trains with the rest."""
    module = Plain(classifier=True)
    module.classifier.requires_grad_(False)
    module.encoder.head.linear.bias.requires_grad_(False)
    assert module.eval().train() is module
    assert not module.classifier.training
    assert module.training
    assert module.encoder.head.linear.training
    assert module.encoder.head.dropout.training
    assert not any(part.training for part in module.eval().modules())
    module.requires_grad_(False)
    assert not module.train(False).training


def test_layers_of_multiplier_0_are_frozen_and_leave_the_training() -> None:
    module = Plain(classifier=True)
    module.optimizer = Optimizer(lr=0.1, lr_multipliers={"classifier": 0.0})
    module.freeze_layers()
    assert [name for name, value in module.named_parameters() if not value.requires_grad] == [
        "classifier.weight",
        "classifier.bias",
    ]
    assert not module.classifier.training
    assert module.encoder.head.training


@pytest.mark.parametrize(
    ("precision", "clip", "fused"),
    [("16-mixed", 1.0, False), ("16-mixed", None, True), ("32-true", 1.0, True), ("32-true", None, True)],
)
def test_the_optimizer_is_built_for_the_steps_of_the_training(precision: str, clip: float | None, fused: bool) -> None:
    """Fused ones unscale half precision by themselves, which clipping must come after."""
    asked = []

    def build(module: HashModule, steps: int, *, fused: bool) -> tuple[str, str]:
        asked.append((module, steps, fused))
        return "optimizer", "schedule"

    module = in_trainer(Plain(), estimated_stepping_batches=12.0, precision=precision, gradient_clip_val=clip)
    module.optimizer = SimpleNamespace(build=build)
    assert module.configure_optimizers() == {
        "optimizer": "optimizer",
        "lr_scheduler": {"scheduler": "schedule", "interval": "step"},
    }
    assert asked == [(module, 12, fused)]


def test_gradients_are_clipped_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of two groups with the gradients 3 and 4: norm 5, clipped to 1 they are 0.6 and 0.8."""
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], lr=0.1)
    module = in_trainer(Plain(), precision="32-true")
    by_lightning: list[Any] = []
    monkeypatch.setattr(
        modules.pl.LightningModule, "configure_gradient_clipping", lambda self, *given: by_lightning.append(given)
    )
    for clip, wanted in ((None, [3, 4]), (1.0, [0.6, 0.8])):
        weights[0].grad, weights[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
        module.configure_gradient_clipping(optimizer, clip)
        assert [weight.grad.item() for weight in weights] == pytest.approx(wanted, rel=1e-5)
    assert by_lightning == []
    in_trainer(module, precision="16-mixed").configure_gradient_clipping(optimizer, 0.1, "norm")
    assert by_lightning == [(optimizer, 0.1, "norm")]
    assert [weight.grad.item() for weight in weights] == pytest.approx([0.6, 0.8], rel=1e-5)


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_losses_are_in_full_float32_and_the_setting_is_as_it_was(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[str] = []
    state = {"now": before}

    def change(value: str) -> None:
        changes.append(value)
        state["now"] = value

    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: state["now"])
    monkeypatch.setattr(torch, "set_float32_matmul_precision", change)
    with full_float32():
        assert state["now"] == "highest"
    assert changes == ([] if before == "highest" else ["highest", before])
    with pytest.raises(ValueError, match="inside"), full_float32():
        raise ValueError("inside")
    assert state["now"] == before
