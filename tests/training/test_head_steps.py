"""The layers behind the backbone: they alone move, and what they become is kept where it is better."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dqh.artifact import load_artifact
from dqh.data import prepare
from dqh.errors import NonFiniteLossError
from dqh.methods.dlbhc import DLBHC
from dqh.models import HashHead, Identity
from dqh.training import Experiment, Optimizer, head_steps, run
from dqh.training.datamodule import HashDataModule
from dqh.training.fit import fit
from dqh.training.head_steps import (
    BACKBONE,
    ON_UNITS,
    Cached,
    begin_head,
    better_head,
    cached,
    finish_head,
    train_head,
    train_on_units,
)
from dqh.training.module import HashModule

DQN_NODE: dict[str, Any] = {"_target_": "dqh.methods.dqn.DQN", "bits": 8, "codewords": 4, "dimension": 8}


def batches(experiment: Experiment, folder: Path) -> HashDataModule:
    data = prepare(
        experiment.source,
        experiment.split,
        experiment.method.encoder.spec,
        allow_duplicates=experiment.allow_duplicates,
        skipped_file=folder / "skipped.csv",
    )
    return HashDataModule(data, augment=None, batch_size=32, eval_batch_size=64, seed=0)


def parts(experiment: Experiment, folder: Path) -> tuple[HashModule, Cached, Cached]:
    """The network with its training and validation images."""
    module, data = experiment.method, batches(experiment, folder)
    device = torch.device("cpu")
    train, validation = (
        cached(module, data, rows, batch_size=64, device=device) for rows in (data.train, data.validation)
    )
    return module, train, validation


def learnable(tiny: Any, **changes: Any) -> tuple[HashModule, Cached, Cached]:
    """A network, and features that tell the ten classes apart, in the place of those of its backbone."""
    module = tiny(optimizer={"name": "adamw", "lr": 0.02}, **changes).method.eval()
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(10, module.encoder.backbone.dimension, generator=draws)

    def images(count: int) -> Cached:
        labels = torch.arange(count) % 10
        return Cached(centres[labels] + 0.3 * torch.randn(count, centres.shape[1], generator=draws), labels)

    return module, images(200), images(50)


def state(module: HashModule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_features_are_those_of_the_artifact(tiny: Any, folder: Path) -> None:
    """In evaluation mode, of centres, in the order of the rows, each with its label."""
    experiment = tiny()
    module, data = experiment.method, batches(experiment, folder)
    found = cached(module, data, data.train, batch_size=64, device=torch.device("cpu"))
    (batch,) = data.store.batches([data.train], size=module.encoder.spec.size)
    with torch.no_grad():
        wanted = module.encoder(batch.images).features
    assert torch.allclose(found.features, wanted, atol=1e-5)
    assert torch.equal(found.labels, data.labels[batch.rows])


def test_more_images_than_are_held_are_spread(tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_steps, "MOST_IMAGES", 3)
    experiment = tiny()
    data = batches(experiment, folder)
    found = cached(experiment.method, data, data.train, batch_size=64, device=torch.device("cpu"))
    assert torch.equal(found.labels, data.labels[data.train[[0, (len(data.train) - 1) // 2, -1]]])


def test_the_backbone_stays_and_the_loss_falls(tiny: Any) -> None:
    module, train, _ = learnable(tiny)
    before = state(module)
    loss = [float(_loss(module, train))]
    train_head(module, train, steps=40, batch_size=32, seed=0)
    loss.append(float(_loss(module, train)))
    assert loss[1] < 0.9 * loss[0]
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {
        name for name in before if not name.startswith(BACKBONE) and name.split(".")[-1] in ("weight", "bias")
    }
    assert not module.training


def _loss(module: HashModule, images: Cached) -> Tensor:
    with torch.no_grad():
        scores = module.scores(module.encoder.head(images.features))
        assert scores is not None
        return torch.nn.functional.cross_entropy(scores, images.labels)


def test_one_seed_gives_one_head(tiny: Any, folder: Path) -> None:
    """With dropout; another seed gives another."""
    states = []
    for seed in (0, 0, 1):
        module, train, _ = parts(tiny(), folder)
        train_head(module, train, steps=5, batch_size=32, seed=seed)
        states.append(module.state_dict()["classifier.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_batch_larger_than_the_images(tiny: Any, folder: Path) -> None:
    module, train, _ = parts(tiny(), folder)
    train_head(module, train, steps=2, batch_size=10**6, seed=0)


def test_a_loss_that_is_not_finite(tiny: Any, folder: Path) -> None:
    module, train, _ = parts(tiny(), folder)
    train.features[0] = torch.nan
    with pytest.raises(NonFiniteLossError, match=r"nan in 30 steps .* for 12 bits; .*trainer.head_steps=0"):
        train_head(module, train, steps=30, batch_size=len(train.labels), seed=0)


def test_embeddings_are_computed_part_by_part(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 images, 64 at a time; the last digits of a product depend on its size."""
    node = {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 12, "hidden": 8}
    module, images, _ = learnable(tiny, method=node)
    sizes: list[int] = []
    module.encoder.head.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    whole = head_steps._embedding(module, images)
    monkeypatch.setattr(head_steps, "PART", 64)
    np.testing.assert_allclose(head_steps._embedding(module, images), whole, atol=1e-6)
    assert sizes == [200, 64, 64, 64, 8]


@pytest.mark.parametrize("better", [True, False])
def test_a_hidden_layer_and_its_statistics_move_and_go_back(tiny: Any, better: bool) -> None:
    """Steps of a rate that ruins everything, or of one that does not."""
    node = {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 12, "hidden": 8}
    module, train, validation = learnable(tiny, method=node)
    if not better:
        train_head(module, train, steps=100, batch_size=32, seed=0)
        module.optimizer = replace(module.optimizer, lr=1e4)
    before = state(module)
    better_head(module, train, validation, searched=train, steps=60, batch_size=32, seed=0)
    norm = [name for name in before if ".head.norm." in name]
    assert len(norm) == 5
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved >= {"encoder.head.first.weight", *norm} if better else moved == set()
    assert not module.training


def test_what_is_better_is_kept(tiny: Any) -> None:
    module, train, validation = learnable(tiny)
    facts = better_head(module, train, validation, searched=train, steps=60, batch_size=32, seed=0)
    assert facts["head_steps"] == 60
    assert facts["head_scores"][1] > facts["head_scores"][0]
    assert module.done == 1.0


@pytest.mark.parametrize("among", ["train", "one another"])
def test_what_is_worse_is_undone(tiny: Any, monkeypatch: pytest.MonkeyPatch, among: str) -> None:
    """Steps that make all codes equal."""
    module, train, validation = learnable(tiny)
    train_head(module, train, steps=60, batch_size=32, seed=0)
    before = state(module)

    def ruin(module: HashModule, train: Cached, **settings: Any) -> None:
        with torch.no_grad():
            module.encoder.head.linear.weight.zero_()
            module.encoder.head.linear.bias.fill_(1)

    monkeypatch.setattr(head_steps, "train_head", ruin)
    searched = train if among == "train" else None
    facts = better_head(module, train, validation, searched=searched, steps=1, batch_size=32, seed=0)
    assert facts["head_steps"] == 0
    assert facts["head_scores"][1] < facts["head_scores"][0]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_codebooks_follow(tiny: Any, folder: Path) -> None:
    """They lie nearer to the new embeddings than those that were fitted before."""
    experiment = tiny(method=DQN_NODE)
    experiment.method.fit_quantizer(np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32), seed=0)
    module, train, _ = parts(experiment, folder)
    stale = module.quantizer()
    train_head(module, train, steps=20, batch_size=32, seed=0)
    with torch.no_grad():
        embedding = module.encoder.head(train.features).numpy()
    errors = [
        float(np.square(quantizer.decode(quantizer.encode(embedding)) - embedding).sum())
        for quantizer in (stale, module.quantizer())
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_without_images_that_can_choose_nothing_is_done(tiny: Any, folder: Path, count: int) -> None:
    """Two of one class and one of another can; one, or two of one class, cannot."""
    experiment = tiny(trainer={"head_steps": 2})
    data = batches(experiment, folder)
    labels = data.labels.numpy()
    data.validation = np.concatenate([np.flatnonzero(labels == 3)[:2], np.flatnonzero(labels == 4)[:1]])[:count]
    before = state(experiment.method)
    facts = finish_head(experiment.method, data, experiment.settings, seed=0)
    assert bool(facts) == (count == 3)
    if not facts:
        assert all(torch.equal(value, before[name]) for name, value in experiment.method.state_dict().items())


@pytest.mark.parametrize(("steps", "overfit", "training"), [(2, None, False), (0, None, True), (2, 32, True)])
def test_what_trains_is_in_evaluation_mode_after_them(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int, overfit: int | None, training: bool
) -> None:
    """Statistics of batches stay as they came, whatever the mode before; without such steps they move."""
    experiment, modes = tiny(trainer={"epochs": 1, "head_steps": steps, "overfit": overfit}), []
    step = HashModule.training_step

    def seen(module: HashModule, *arguments: Any) -> Any:
        modes.append((module.training, module.encoder.training, module.encoder.head.training))
        return step(module, *arguments)

    monkeypatch.setattr(HashModule, "training_step", seen)
    data = batches(experiment, folder)
    begin_head(experiment.method, data, experiment.settings, seed=0)
    experiment.method.train(not training)
    fit(experiment.method, data, settings=experiment.settings, folder=folder, seed=0)
    assert set(modes) == {(training,) * 3}


@pytest.mark.slow
def test_a_whole_run_says_what_was_kept(tiny: Any, folder: Path) -> None:
    experiment = tiny(trainer={"epochs": 1, "head_steps": 30})
    run(experiment, folder, command="test")
    training = json.loads((folder / "artifact" / "artifact.json").read_text())["training"]
    assert training["head_steps"] in (0, 30)
    assert len(training["head_scores"]) == 2
    untrained = json.loads((folder / "untrained" / "artifact.json").read_text())["training"]
    assert "head_steps" not in untrained


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [None, 16])
def test_lengths_of_vectors_follow_a_main_one_that_is_as_alone(tiny: Any, tmp_path: Path, hidden: int | None) -> None:
    """Ten kinds of vectors, and three lengths that know them: one shorter and one longer than the main one.

    A hidden layer is the same for all, its statistics too.
    """
    draws = np.random.default_rng(0)
    labels = np.arange(600) % 10
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "features.npy", draws.normal(size=(10, 8))[labels] + 0.3 * draws.normal(size=(600, 8)))
    files = {name: str(tmp_path / f"{name}.npy") for name in ("features", "labels")}
    method = {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 12, "hidden": hidden, "noise": 0.1}
    found, heads = {}, []
    for name, lengths in (("alone", {}), ("several", {"lengths": [6, 12, 18]})):
        experiment = tiny(
            data={"_target_": "dqh.data.Features", **files},
            backbone={"_target_": "dqh.models.Identity"},
            optimizer={"name": "adamw", "lr": 0.05},
            method=method | lengths,
        )
        folder = tmp_path / name
        folder.mkdir()
        found[name] = run(experiment, folder, command="").metrics
        heads.append(load_artifact(folder / "artifact").encoder.head.state_dict())
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())
    assert found["several"]["rows"][0]["mAP@all"] == found["alone"]["rows"][0]["mAP@all"]
    known = {bits: rows["rows"][0]["accuracy"] for bits, rows in found["several"]["lengths"].items()}
    assert known.keys() == {"6", "18"}
    assert min(known.values()) > 0.9, known  # at random .1
    for bits in () if hidden is None else (6, 18):
        other = load_artifact(folder / "artifact", bits=bits).encoder.head.state_dict()
        shared = [name for name in other if name.startswith(("first.", "norm."))]
        assert len(shared) == 6
        assert all(torch.equal(other[name], heads[1][name]) for name in shared)


def test_training_on_units_is_a_training_on_what_the_hidden_layer_says() -> None:
    """The same, to the last digit, as of two networks without one that are given its answers as their features."""
    torch.manual_seed(0)
    features, labels = torch.randn(60, 5), torch.arange(60) % 3

    def network(size: int, bits: int, hidden: int | None) -> DLBHC:
        return DLBHC(Identity(size=size), 3, bits=bits, optimizer=Optimizer(name="adamw", lr=0.1), hidden=hidden)

    main, *others = (network(5, bits, 8) for bits in (8, 4, 6))
    plain = [network(8, other.bits, None) for other in others]
    main.encoder.head.train()(features)  # statistics of its own
    main.add_lengths(*others)
    for other, alone in zip(others, plain, strict=True):
        other.start_from(main)
        alone.encoder.head.linear.load_state_dict(other.encoder.head.linear.state_dict())
        assert alone.classifier is not None
        assert other.classifier is not None
        alone.classifier.load_state_dict(other.classifier.state_dict())
    before = state(main.eval())
    with torch.no_grad():
        units = main.encoder.head.units(features)
    train_on_units(main, others, Cached(features, labels), steps=20, batch_size=16, seed=1)
    for other, alone in zip(others, plain, strict=True):
        alone.optimizer = replace(alone.optimizer, lr=ON_UNITS[1] * alone.optimizer.lr)
        train_head(alone, Cached(units, labels), steps=20, batch_size=16, seed=1)
        assert alone.classifier is not None
        assert other.classifier is not None
        torch.testing.assert_close(other.classifier.weight, alone.classifier.weight, rtol=0, atol=1e-6)
        torch.testing.assert_close(
            other.encoder.head.linear.weight, alone.encoder.head.linear.weight, rtol=0, atol=1e-6
        )
    own = [name for name in before if not name.startswith("bits_")]
    assert all(torch.equal(before[name], main.state_dict()[name]) for name in own)
    assert not any(module.training for module in main.modules())


def test_units_of_further_lengths_have_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of the artifact in each step, and the statistics stay."""
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"optimizer": Optimizer(name="adamw", lr=0.1), "hidden": 8, "noise": 0.5}
    main, other = (DLBHC(Identity(size=5), 3, bits=bits, **arguments) for bits in (8, 4))
    main.add_lengths(other)
    other.start_from(main)
    means, given = main.encoder.head.norm.running_mean, []
    assert means is not None
    before = means.clone()

    def code(units: Tensor) -> Tensor:
        given.append(units)
        return HashHead.code(other.encoder.head, units)

    monkeypatch.setattr(other.encoder.head, "code", code)
    features = Cached(torch.randn(16, 5), torch.arange(16) % 3)
    train_on_units(main, [other], features, steps=2, batch_size=16, seed=1)
    assert torch.equal(means, before)
    with torch.no_grad():
        wanted = main.encoder.head.units(features.features).sum(dim=0)
    assert len(given) == 2
    for units in given:  # of all vectors, in another order
        torch.testing.assert_close(units.sum(dim=0), wanted)
