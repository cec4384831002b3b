"""The quantizer is fitted before the training and before every validation, to what the artifact will compute."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import distributed

from dqh.data import Prepared, prepare
from dqh.errors import ConfigError, NonFiniteLossError
from dqh.methods.dqn import DQN
from dqh.training import Experiment, refit, run
from dqh.training.refit import MOST_IMAGES, fit_quantizer, further_lengths

DQN_NODE: dict[str, Any] = {
    "_target_": "dqh.methods.dqn.DQN",
    "bits": 8,
    "codewords": 16,
    "dimension": 8,
    "dropout": 0.5,
}


def prepared(experiment: Experiment, folder: Path) -> Prepared:
    return prepare(
        experiment.source,
        experiment.split,
        experiment.method.encoder.spec,
        allow_duplicates=experiment.allow_duplicates,
        skipped_file=folder / "skipped.csv",
    )


def watched(
    experiment: Experiment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Prepared, Any, list[NDArray[np.float32]]]:
    """The data, the network, and the embeddings that its quantizer is asked to fit, which it does not."""
    seen: list[NDArray[np.float32]] = []
    monkeypatch.setattr(experiment.method, "fit_quantizer", lambda embedding, *, seed: seen.append(embedding))
    return prepared(experiment, folder), experiment.method, seen


def test_it_sees_embeddings_without_dropout_and_leaves_the_mode(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, module, seen = watched(tiny(method=DQN_NODE), folder, monkeypatch)
    before = torch.get_rng_state()
    fit_quantizer(module, data.store, data.roles.train, batch_size=100, seed=0)
    assert module.training
    assert torch.equal(before, torch.get_rng_state())
    (batch,) = data.store.batches([data.roles.train], size=module.encoder.spec.size)
    module.eval()
    with torch.no_grad():
        wanted = module.encoder(batch.images).embedding.numpy()
    assert seen[0].shape == (len(data.roles.train), 8)
    assert np.allclose(seen[0], wanted, atol=1e-6)  # batches of another size round differently
    monkeypatch.setattr("dqh.training.refit.MOST_IMAGES", 60)
    module.least_images = 1
    fit_quantizer(module, data.store, data.roles.train, batch_size=100, seed=0)
    assert len(seen[1]) == 60 < len(seen[0]) < MOST_IMAGES


def test_processes_compute_a_part_each_and_fit_to_the_whole(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 images in batches of 30 are seven: of two processes the first has four, 110 images, the second 90."""
    data, module, seen = watched(tiny(method=DQN_NODE), folder, monkeypatch)
    fit_quantizer(module, data.store, data.roles.train, batch_size=30, seed=0)
    parts: list[Any] = []

    def everyone(own: Any) -> list[Any]:
        parts.append(own)
        return parts

    monkeypatch.setattr(refit, "count", lambda: 2)
    monkeypatch.setattr(refit, "everyone", everyone)
    sent: list[int] = []
    monkeypatch.setattr(distributed, "broadcast", lambda value, src: sent.append(src))
    for number in range(2):
        monkeypatch.setattr(refit, "rank", lambda number=number: number)
        fit_quantizer(module, data.store, data.roles.train, batch_size=30, seed=0)
    whole, first, both = seen
    assert [len(part) for part in (whole, first, both)] == [200, 110, 200]
    np.testing.assert_array_equal(both, whole)
    assert set(sent) == {0}


def test_codebooks_of_further_lengths_see_what_those_of_the_main_one_do(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where codewords are few: fitted to a part of the images they find less, by a fifth of 100,000 vectors."""
    data, module, seen = watched(tiny(method=DQN_NODE | {"codewords": 4}), folder, monkeypatch)
    monkeypatch.setattr(module, "quantizer_of", lambda bits, embedding, *, seed: seen.append(embedding))
    fit_quantizer(module, data.store, data.roles.train, batch_size=100, seed=0)
    lengths = further_lengths(module, (4, 16), data.store, data.roles.train, batch_size=100, seed=0)
    assert list(lengths) == [4, 16]
    own, *others = seen
    assert len(others) == 2
    assert all(np.array_equal(other, own) for other in others)


@pytest.mark.slow
@pytest.mark.parametrize(("refit_every", "validation", "fits"), [(1, 40, 4), (2, 40, 2), (1, 0, 4)])
def test_how_often(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, refit_every: int, validation: int, fits: int
) -> None:
    """Three epochs: once before, and after each, or after the second one."""
    seeds: list[int] = []
    real = DQN.fit_quantizer

    def counted(self: DQN, embedding: NDArray[np.float32], *, seed: int) -> None:
        seeds.append(seed)
        real(self, embedding, seed=seed)

    monkeypatch.setattr(DQN, "fit_quantizer", counted)
    run(
        tiny(method=DQN_NODE | {"refit_every": refit_every}, split={"validation": validation}),
        folder,
        command="here",
    )
    assert len(seeds) == len(set(seeds)) == fits


def test_weights_that_became_nan_are_named_as_such(tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(self: DQN, *arguments: Any) -> None:
        torch.nn.init.constant_(self.encoder.head.linear.bias, torch.nan)

    monkeypatch.setattr(DQN, "on_train_batch_end", spoil)
    with pytest.raises(NonFiniteLossError, match=r"lower optimizer\.lr"):
        run(tiny(method=DQN_NODE, trainer={"batch_size": 200}), folder, command="here")


def test_more_codewords_than_usable_images(tiny: Any, folder: Path) -> None:
    experiment = tiny(method=DQN_NODE)
    data = prepared(experiment, folder)
    with pytest.raises(ConfigError, match=r"dqn needs at least 16 training images to fit its quantizer, 9 can be used"):
        fit_quantizer(experiment.method, data.store, data.roles.train[:9], batch_size=100, seed=0)
