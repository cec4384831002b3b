"""What a set of codes looks like from the inside, labels aside: balance, entropy, correlation, collisions, saturation.

`health_findings` says them in words, `health_plots` in pictures; how to read them is in `docs/code_health.md`.

N items, B bits, b_i the bits of one code, p_i the share of items whose bit i is 1.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.codes import require_codes, unpack

NEARLY_CONSTANT = 0.02
"""A bit is nearly constant where its rarer value has less than this share of the items."""

TWIN = 0.95
"""Two bits are twins, one nearly a copy of the other or its opposite, from this absolute correlation on."""

BORDER = 0.05
"""Share of an embedding's range that counts as an end of it, and on either side of its middle as undecided."""

HISTOGRAM_BINS = 20
"""Equal parts of the range, each as wide as `BORDER`."""

LARGEST_MATRIX = 256
"""Bits up to which the correlation of every pair is kept, not its mean and maximum alone."""

LARGEST_GROUPS = 20

_CHUNK = 2**22  # values unpacked at a time; far below 2^24, so float32 sums of 0s and 1s over a chunk are exact


@dataclass(frozen=True)
class Saturation:
    """How near the values of an embedding are to the ends of their range.

    Attributes:
        low: the lowest value that the activation gives; 0 for a sigmoid.
        high: the highest one.
        histogram: values in each of `HISTOGRAM_BINS` equal parts of the range, the upper edge in the next part.
        saturated: share of the values within `BORDER` of the range of either end: the first and the last part.
        undecided: share within `BORDER` of the range of its middle, the threshold of a bit: the two middle parts.
    """

    low: float
    high: float
    histogram: tuple[int, ...]
    saturated: float
    undecided: float


@dataclass(frozen=True)
class Health:
    """Numbers about N codes of B bits. None of them says how well the codes find things: mAP does.

    Attributes:
        items: N.
        bits: B.
        balance: p_i, the mean of each bit, 0 … 1.
        bit_entropy: H_i = −p_i log2 p_i − (1 − p_i) log2(1 − p_i), bits, 0 … 1 each.
        bit_entropy_sum: Σ H_i, bits; what the codes would carry if their bits were independent.
        code_entropy: −Σ_c (n_c / N) log2(n_c / N) over the distinct codes c with n_c items each, bits: the entropy of
            the codes as found. It cannot exceed `bit_entropy_sum` nor log2 N: N items show no more.
        dead: bits with one value in all items.
        nearly_constant: further bits whose rarer value has less than `NEARLY_CONSTANT` of the items.
        correlation: (B, B) Pearson correlation of bits over the items, (mean of b_i b_j − p_i p_j) /
            √(p_i (1 − p_i) p_j (1 − p_j)); 0 in rows and columns of dead bits, also on the diagonal. None above
            `LARGEST_MATRIX` bits.
        mean_correlation: mean of |correlation| over all pairs of different bits; 0 for a single bit.
        max_correlation: the correlation, with its sign, of the pair with the largest |correlation|.
        max_pair: that pair, the first one among equals, bits counted from 0; None for a single bit.
        twins: bits that have |correlation| ≥ `TWIN` with another bit.
        distinct: number of different codes.
        expected_distinct: what N uniformly random codes would have on average, 2^B (1 − (1 − 2^−B)^N).
        colliding: share of the items whose code another item has too.
        sharing: items by the size of their group, a group being the items of one code: of size 1, 2, 3–4, 5–8, 9–16 …
        largest: sizes of the largest groups, up to `LARGEST_GROUPS`, descending.
        saturation: of the embedding; None where none was given.
    """

    items: int
    bits: int
    balance: tuple[float, ...]
    bit_entropy: tuple[float, ...]
    bit_entropy_sum: float
    code_entropy: float
    dead: int
    nearly_constant: int
    correlation: tuple[tuple[float, ...], ...] | None
    mean_correlation: float
    max_correlation: float
    max_pair: tuple[int, int] | None
    twins: int
    distinct: int
    expected_distinct: float
    colliding: float
    sharing: tuple[int, ...]
    largest: tuple[int, ...]
    saturation: Saturation | None

    def to_json(self) -> dict[str, Any]:
        """The attributes as plain JSON values, correlations rounded to 3 decimals and other floats to 6."""
        values = {name: _plain(value, 6) for name, value in asdict(self).items()}
        values["correlation"] = _plain(self.correlation, 3)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Health":
        """What `to_json` gave, as far as its rounding goes; `KeyError` where an attribute is missing."""
        read = {name: _frozen(values[name]) for name in cls.__dataclass_fields__}
        if read["saturation"] is not None:
            fields = Saturation.__dataclass_fields__
            read["saturation"] = Saturation(**{name: _frozen(read["saturation"][name]) for name in fields})
        return cls(**read)


def code_health(
    codes: NDArray[np.uint8],
    *,
    bits: int,
    embedding: NDArray[np.floating[Any]] | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> Health:
    """Balance, entropy, correlation, collisions and saturation of a set of codes.

    Exact, not sampled; about N · B² multiplications, and memory for a chunk beside a sort of the codes.

    Args:
        codes: (N, ⌈B / 8⌉) uint8, packed, N at least 1. What stands beyond bit B − 1 is ignored.
        bits: B.
        embedding: (N, B) float, what the codes were cut from; None where there is none, or none with a range.
        low: lower end of the embedding's range: 0 for a sigmoid, −1 for tanh. A bit is cut at the middle of the range.
        high: upper end of the range.

    Raises:
        ValueError: codes are of a wrong shape or type or empty; the embedding has another number of rows or leaves its
            range; or the range is empty.

    Example:
        >>> health = code_health(np.array([[0b00], [0b01], [0b01], [0b11]], np.uint8), bits=2)
        >>> health.balance, health.distinct, health.colliding, health.code_entropy
        ((0.75, 0.25), 3, 0.5, 1.5)
    """
    require_codes(codes, bits)
    if len(codes) == 0:
        raise ValueError("codes must hold at least one item, got none")
    joint = _joint_counts(codes, bits)
    ones, items = joint.diagonal(), len(codes)
    rarer = np.minimum(ones, items - ones)
    entropy = _entropy(np.stack([ones, items - ones], axis=1) / items)
    correlation = correlation_of(joint, items)
    pairs = np.abs(np.triu(correlation, 1))
    first, second = divmod(int(pairs.argmax()), bits)
    sizes = _group_sizes(codes, bits)
    doubling = np.ceil(np.log2(sizes)).astype(np.int64)
    dead = rarer == 0
    return Health(
        items=items,
        bits=bits,
        balance=tuple((ones / items).tolist()),
        bit_entropy=tuple(entropy.tolist()),
        bit_entropy_sum=float(entropy.sum()),
        code_entropy=float(_entropy(sizes / items)),
        dead=int(dead.sum()),
        nearly_constant=int((~dead & (rarer < NEARLY_CONSTANT * items)).sum()),
        correlation=tuple(map(tuple, correlation.tolist())) if bits <= LARGEST_MATRIX else None,
        mean_correlation=float(pairs.sum()) / max(1, bits * (bits - 1) // 2),
        max_correlation=float(correlation[first, second]) if bits > 1 else 0.0,
        max_pair=(first, second) if bits > 1 else None,
        twins=int(((pairs + pairs.T) >= TWIN).any(axis=1).sum()),
        distinct=len(sizes),
        expected_distinct=expected_distinct(items, bits),
        colliding=float(sizes[sizes > 1].sum()) / items,
        sharing=tuple(np.bincount(doubling, weights=sizes).astype(np.int64).tolist()),
        largest=tuple(sizes[:LARGEST_GROUPS].tolist()),
        saturation=None if embedding is None else _saturation(embedding, (items, bits), low=low, high=high),
    )


def correlation_of(joint: NDArray[np.int64], items: int) -> NDArray[np.float64]:
    """Pearson correlation between bits from their joint counts.

    With n_ij the items in which bits i and j are both 1: (N n_ij − n_i n_j) / √(n_i (N − n_i) n_j (N − n_j)), exact in
    integers up to the division.

    Of (B, B) int64, n_i on the diagonal, (B, B) float64 in −1 … 1; 0 in rows and columns of constant bits.
    """
    ones = joint.diagonal()
    spread = np.sqrt(ones * (items - ones))
    alive = spread > 0
    scale = np.divide(1, spread, out=np.zeros(len(ones)), where=alive)
    correlation: NDArray[np.float64] = (items * joint - np.outer(ones, ones)) * scale * scale[:, None]
    np.fill_diagonal(correlation, alive)
    return correlation.clip(-1, 1)


def expected_distinct(items: int, bits: int) -> float:
    """Distinct codes among `items` uniformly random ones on average, 2^B (1 − (1 − 2^−B)^N).

    Example:
        >>> expected_distinct(2, 1), expected_distinct(1_000_000, 128)
        (1.5, 1000000.0)
    """
    share = 2.0 ** -min(bits, 1000)  # floats end near 2^−1022; by then every item has a code of its own
    return -math.expm1(items * math.log1p(-share)) / share


def _joint_counts(codes: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """(B, B): items in which two bits are both 1."""
    joint = np.zeros((bits, bits), np.int64)
    for rows in _chunks(len(codes), bits):
        values = unpack(codes[rows], bits).astype(np.float32)
        joint += (values.T @ values).astype(np.int64)
    return joint


def _chunks(items: int, width: int) -> Iterator[slice]:
    step = max(1, _CHUNK // width)
    return (slice(start, start + step) for start in range(0, items, step))


def _group_sizes(codes: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """Number of items of each distinct code, descending."""
    words = np.zeros((len(codes), -(-bits // 64) * 8), np.uint8)
    words[:, : codes.shape[1]] = codes
    if bits % 8:
        words[:, codes.shape[1] - 1] &= (1 << bits % 8) - 1
    whole = words.view(np.uint64)
    whole = whole[np.lexsort(whole.T)]
    starts = np.flatnonzero((whole[1:] != whole[:-1]).any(axis=1)) + 1
    sizes = np.diff(starts, prepend=0, append=len(codes))
    return np.sort(sizes)[::-1]


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """−Σ p log2 p over the last axis, bits; 0 log2 0 is 0."""
    logarithms = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: NDArray[np.float64] = -(shares * logarithms).sum(axis=-1) + 0.0  # no −0.0
    return entropy


def _saturation(embedding: NDArray[np.floating[Any]], shape: tuple[int, int], *, low: float, high: float) -> Saturation:
    if embedding.shape != shape:
        raise ValueError(f"embedding must have shape {shape} as the codes do, got {embedding.shape}")
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    counts = np.zeros(HISTOGRAM_BINS, np.int64)
    for rows in _chunks(*shape):
        values = embedding[rows].astype(np.float32, copy=False)
        if not (values.min() >= low and values.max() <= high):
            raise ValueError(
                f"embedding must lie in {low} … {high}, got {values.min()} … {values.max()}; give its range as low and "
                "high, or no embedding where it has none"
            )
        part = ((values - np.float32(low)) * np.float32(HISTOGRAM_BINS / (high - low))).astype(np.intp)
        counts += np.bincount(part.ravel().clip(max=HISTOGRAM_BINS - 1), minlength=HISTOGRAM_BINS)
    middle = HISTOGRAM_BINS // 2
    total = shape[0] * shape[1]
    return Saturation(
        low=low,
        high=high,
        histogram=tuple(counts.tolist()),
        saturated=int(counts[0] + counts[-1]) / total,
        undecided=int(counts[middle - 1] + counts[middle]) / total,
    )


def _plain(value: Any, digits: int) -> Any:
    """Tuples as lists, floats rounded."""
    if isinstance(value, Mapping):
        return {name: _plain(part, digits) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part, digits) for part in value]
    return round(value, digits) + 0.0 if isinstance(value, float) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list | tuple) else value
