"""Random numbers that follow from a seed and the key of each sample: the same in every batch, process and device.

A counter-based generator: number c of a sample is a hash of (seed, key, c), by the finaliser of SplitMix64 (Steele,
Lea and Flood, OOPSLA 2014), so nothing is drawn in turn and nothing has to reach a device but the keys.
"""

import math

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 2^64 / φ, odd, as a signed number
_MIX = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
_MASK = 2**64 - 1


class KeyedDraws:
    """Draws for the samples of a batch; each call takes the numbers that follow those of the last one.

    Args:
        seed: 0 … 2⁶³ − 1, of one purpose at one time, such as the views of one epoch.
        keys: (N,) int64, who is who: equal keys draw equal numbers.

    Example:
        >>> all_of_it = KeyedDraws(7, torch.tensor([3, 5, 8])).uniform(2)
        >>> torch.equal(all_of_it[1:], KeyedDraws(7, torch.tensor([5, 8])).uniform(2))
        True
    """

    def __init__(self, seed: int, keys: Tensor) -> None:
        start = _signed(_mixed((seed + 1) * (_GOLDEN & _MASK) & _MASK))
        self._state = _hash(keys * _GOLDEN + start)
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._state)

    def uniform(self, count: int) -> Tensor:
        """(N, count) float32 in [0, 1), multiples of 2⁻²⁴."""
        return _high(self._next(count), 24).float() * 2**-24

    def integers(self, bound: int, count: int) -> Tensor:
        """(N, count) int64 of 0 … `bound` − 1; their probabilities differ by less than `bound` / 2³² of each."""
        return _high(self._next(count), 32) * bound >> 32

    def normal(self, count: int) -> Tensor:
        """(N, count) float32 of mean 0 and variance 1 (Box and Muller 1958)."""
        radius = (-2 * torch.log1p(-self.uniform(count))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(count))

    def _next(self, count: int) -> Tensor:
        """(N, count) int64, all 64 bits random."""
        places = torch.arange(self._drawn + 1, self._drawn + count + 1, device=self._state.device)
        self._drawn += count
        return _hash(self._state[:, None] + places * _GOLDEN)


def _hash(values: Tensor) -> Tensor:
    """SplitMix64's finaliser of int64, modulo 2⁶⁴."""
    values = (values ^ _shifted(values, 30)) * _MIX[0]
    values = (values ^ _shifted(values, 27)) * _MIX[1]
    return values ^ _shifted(values, 31)


def _mixed(value: int) -> int:
    """The same of one number, 0 … 2⁶⁴ − 1."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        value = (value ^ value >> shift) * (factor & _MASK) & _MASK
    return value ^ value >> 31


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Shifted to the right with zeros from the left; `>>` alone brings the sign."""
    return values >> bits & (1 << 64 - bits) - 1


def _high(values: Tensor, bits: int) -> Tensor:
    """The highest bits, as numbers of at least 0."""
    return values >> 64 - bits & (1 << bits) - 1


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
