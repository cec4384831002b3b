"""Random state of the training: every draw follows from (seed, epoch, step), so a resumed run continues exactly."""

import random
from typing import Literal

import numpy as np
import torch

Stream = Literal["step", "augment", "order", "quantizer", "head"]
STREAMS: dict[Stream, int] = {"step": 0, "augment": 1, "order": 2, "quantizer": 3, "head": 4}


def derive(seed: int, stream: Stream, *position: int) -> int:
    """A 63-bit seed for one purpose at one place of the training."""
    state = np.random.SeedSequence([seed, STREAMS[stream], *position]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch, on every device.

    Raises:
        ValueError: `seed` is not in 0 … 2⁶³ − 1.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be in 0 … 2^63 - 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - third parties draw from it
    torch.manual_seed(seed)
