"""Seeds for every place of a training."""

import pytest
import torch

from dqh.training.seeds import derive, seed_everything


def test_every_place_has_a_seed_of_its_own() -> None:
    seeds = {
        derive(seed, stream, epoch, step)
        for seed in (0, 1)
        for stream in ("step", "augment", "order")
        for epoch in range(3)
        for step in range(3)
    }
    assert len(seeds) == 2 * 3 * 9
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(7, "order", 2) == derive(7, "order", 2)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed must be in .* got {seed}"):
        seed_everything(seed)


def test_the_global_generator_repeats() -> None:
    drawn = []
    for _ in range(2):
        seed_everything(3)
        drawn.append(torch.rand(4))
    assert torch.equal(*drawn)
