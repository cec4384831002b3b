"""The bank: what it holds, which pairs it gives; a resumed training goes on with it, alone and in two processes."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dqh.methods.dpsh import DPSH
from dqh.models import EncoderOutput, Identity
from dqh.training import Interrupted, Optimizer, run
from dqh.training.bank import Bank
from dqh.training.module import TrainingBatch
from tests.training.test_pipeline import At, same, weights, with_callback

ROWS, LABELS = torch.tensor([9, 3, 5]), torch.tensor([2, 0, 1])


def opened(**arguments: Any) -> Bank:
    bank = Bank(2, **arguments)
    bank.open(ROWS, LABELS)
    return bank


def test_values_stand_by_their_rows() -> None:
    bank = opened()
    bank.put(torch.tensor([9, 3]), torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True))
    assert (bank.rows.tolist(), bank.labels.tolist()) == ([3, 5, 9], [0, 1, 2])
    assert bank.values.tolist() == [[3, 4], [0, 0], [1, 2]]
    assert (bank.seen.tolist(), bank.values.requires_grad) == ([True, False, True], False)
    bank.put(torch.tensor([3]), torch.tensor([[5.0, 6.0]]))
    assert bank.values[0].tolist() == [5, 6]
    bank.open(ROWS, LABELS)
    assert not bank.seen.any()


def test_pairs_are_those_with_other_images_that_have_been_seen() -> None:
    """Images 3 and 5 come: 9 has not been seen, and an image is no pair with itself."""
    bank = opened()
    embedding = torch.tensor([[1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    pairs = bank.pairs(embedding, LABELS[1:], ROWS[1:])
    assert pairs.counted.tolist() == [[False, True, False], [True, False, False]]
    assert pairs.second.tolist() == [[1, 0], [0, 2], [0, 0]]
    assert (pairs.labels.tolist(), pairs.others.tolist()) == ([0, 1], [0, 1, 2])
    pairs.products().sum().backward()
    assert embedding.grad.tolist() == [[1, 2], [1, 2]]  # the sum over the others, which do not move


def test_other_values_than_the_embedding() -> None:
    bank = opened()
    pairs = bank.pairs(torch.tensor([[0.2, 0.3]]), LABELS[:1], ROWS[:1], values=torch.tensor([[1.0, -1.0]]))
    assert pairs.first.tolist() == [[pytest.approx(0.2), pytest.approx(0.3)]]
    assert bank.values[2].tolist() == [1, -1]


def test_a_bank_that_is_not_open_leaves_the_pairs_of_the_batch() -> None:
    pairs = Bank(2).pairs(torch.eye(2), torch.tensor([0, 1]), torch.tensor([7, 8]))
    assert pairs.counted.tolist() == [[False, True], [True, False]]


def test_of_more_images_others_are_drawn_at_each_step() -> None:
    bank = Bank(1, most_pairs=40)
    bank.open(torch.arange(95), torch.zeros(95, dtype=torch.int64))
    drawn = []
    for _ in range(60):
        bank.put(torch.tensor([0]), torch.zeros(1, 1))
        places = bank.drawn(4)
        assert len(places.unique()) == 10
        assert places.sort().values.diff().max() <= 10  # spread evenly
        drawn += places.tolist()
    assert len(set(drawn)) == 95


def test_nothing_waits_for_the_device() -> None:
    """On the meta device whatever asks for a value fails."""
    bank = opened(most_pairs=8).to("meta")
    labels, rows = torch.empty(4, dtype=torch.int64, device="meta"), torch.empty(4, dtype=torch.int64, device="meta")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "autocast", torch.no_grad)
        patch.setattr(torch, "no_grad", torch.enable_grad)
        pairs = bank.pairs(torch.empty(4, 2, device="meta"), labels, rows)
    assert pairs.mean(pairs.first @ pairs.second.T).shape == ()


def test_a_state_goes_on_and_another_is_refused() -> None:
    bank, other = opened(), opened()
    bank.put(ROWS[:1], torch.ones(1, 2))
    other.restore(bank.state())
    assert torch.equal(other.values, bank.values)
    assert torch.equal(other.seen, bank.seen)
    assert torch.equal(other.drawn(1), bank.drawn(1))
    other.open(ROWS[:2], LABELS[:2])
    with pytest.raises(
        ValueError, match=r"values of \(3, 2\), the training images want \(2, 2\); resume with the same"
    ):
        other.restore(bank.state())


def test_it_is_no_part_of_the_weights() -> None:
    module = DPSH(Identity(size=6), 3, bits=2, optimizer=Optimizer())
    module.meet(ROWS, LABELS)
    assert not any("bank" in name for name in module.state_dict())
    module.bank.put(ROWS, torch.ones(3, 2))
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    other = DPSH(Identity(size=6), 3, bits=2, optimizer=Optimizer())
    other.meet(ROWS, LABELS)
    other.on_load_checkpoint(checkpoint)
    assert torch.equal(other.bank.values, torch.ones(3, 2))


def test_numbers_that_are_refused() -> None:
    with pytest.raises(ValueError, match="most_pairs must be at least 1, got 0"):
        Bank(2, most_pairs=0)


def test_a_step_compares_with_the_images_of_earlier_steps() -> None:
    """Images 3 and then 5, of different classes with ½⟨u, v⟩ = 1: none in the first step, log(1 + e) in the second."""
    module = DPSH(Identity(size=6), 3, bits=2, optimizer=Optimizer(), penalty=0.0)
    module.meet(ROWS, LABELS)
    values = [torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0]])]
    found = []
    for place, embedding in zip((1, 2), values, strict=True):
        batch = TrainingBatch(torch.zeros(1, 6), LABELS[place : place + 1], ROWS[place : place + 1])
        found.append(module.losses_of_step(EncoderOutput(embedding, embedding), batch)["likelihood"].item())
    assert found == pytest.approx([0, torch.tensor(1.0).exp().log1p().item()])


BANKED = {
    "dpsh": {"_target_": "dqh.methods.dpsh.DPSH", "bits": 12, "most_pairs": 1600},
    "adsh": {"_target_": "dqh.methods.adsh.ADSH", "bits": 12, "queries": 30},
    "dfh": {"_target_": "dqh.methods.dfh.DFH", "bits": 12},
    "crh": {"_target_": "dqh.methods.crh.CRH", "bits": 12},
}
"""Methods that keep something of the training images, or of classes, from step to step."""


def banks(path: Path) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = torch.load(path, weights_only=True)["banks"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", BANKED)
def test_an_interrupted_and_resumed_run_equals_the_straight_one(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Stopped inside the second epoch: weights and banks are those of the run that was not."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    for folder in (straight, stopped):
        folder.mkdir()
    settings = {"method": BANKED[name]}
    run(tiny(**settings), straight, command="")
    with monkeypatch.context() as patch:
        with_callback(patch, At(8, lambda module: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(Interrupted) as end:
            run(tiny(**settings), stopped, command="")
    run(tiny(**settings), stopped, command="", resume=end.value.checkpoint)
    paths = [folder / "checkpoints" / "last.ckpt" for folder in (straight, stopped)]
    assert same(*map(weights, paths))
    found, wanted = map(banks, paths)
    assert found.keys() == wanted.keys()
    assert len(found) == {"dpsh": 1, "dfh": 1, "adsh": 2, "crh": 0}[name]
    assert all(same(found[bank], wanted[bank]) for bank in found)


@pytest.mark.slow
def test_two_processes_have_the_bank_of_one(tiny: Any, tmp_path: Path) -> None:
    """Only float32 sums are in another order."""
    for devices in (1, 2):
        (tmp_path / str(devices)).mkdir()
        settings = {"method": BANKED["dpsh"], "trainer": {"devices": devices, "epochs": 2}}
        run(tiny(**settings), tmp_path / str(devices), command="")
    one, two = (banks(tmp_path / name / "checkpoints" / "last.ckpt")["bank"] for name in "12")
    assert torch.equal(one["seen"], two["seen"])
    torch.testing.assert_close(one["values"], two["values"], atol=1e-2, rtol=1e-2)
