"""What all quantizers have in common: embeddings become packed codes, and back."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

    from dqh.quantizers.usage import CodebookUsage

SOFT_BIT = 1e-6
"""A bit that so small a change of the embedding can change may differ between machines."""

SOFT_CODEWORD = 1e-5
"""So may a codeword whose squared distance is less than this share below that of the second nearest."""


class Coder(Protocol):
    """From embeddings to codes, as far as a search needs it.

    Attributes:
        distances: what codes may be compared by on their own: `hamming`, bits that differ; `l2`, squared L2, or `ip`,
            the inner product, of an embedding and what a code stands for. The first is what a file without a word has.
        bits: length of a code.
        distance: the one of them by which these codes are searched where nothing else is asked for.
    """

    distances: ClassVar[tuple[str, ...]]
    bits: int

    @property
    def distance(self) -> str:
        """How codes are compared on their own."""
        ...

    def encode(self, embedding: NDArray[np.floating[Any]], /) -> NDArray[np.uint8]:
        """Packed codes, (N, ⌈bits / 8⌉) uint8, of embeddings (N, D)."""
        ...


class Quantizer(Coder, Protocol):
    """From embeddings to codes and back.

    Attributes:
        kind: of the codes, as artifacts name it; the key in `dqh.quantizers.QUANTIZERS`.
        rule: how a bit comes about, in words for an artifact.
    """

    kind: ClassVar[str]
    rule: ClassVar[str]

    @property
    def dimension(self) -> int:
        """D, length of an embedding."""
        ...

    def layout(self) -> dict[str, Any]:
        """What the manifest of an artifact says of codes beside their bits and rule; nothing where that says all."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What an artifact keeps beside the number of bits and the distance."""
        ...

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, NDArray[Any]], *, distance: str | None = None) -> Self:
        """The quantizer whose `state` was kept.

        Args:
            bits: of a code.
            state: what `state` of this kind gave.
            distance: one of `distances`; None for the first.

        Raises:
            ValueError: another state or distance, or `bits` is no integer of at least 1; all that is wrong together.
        """
        ...

    def decode(self, codes: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """What packed codes stand for, (N, D)."""
        ...

    def preimage(self, codes: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Embeddings (N, D) that have these codes."""
        ...

    def sample(self, count: int, generator: np.random.Generator, /) -> NDArray[np.uint8]:
        """Made-up codes, about `count` of them, spread as evenly as nothing but their layout allows."""
        ...

    def usage(self, embedding: NDArray[np.floating[Any]], /) -> "CodebookUsage | None":
        """How embeddings (N, D) use the codebooks; None of codes that have none."""
        ...

    def soft(
        self, embedding: NDArray[np.floating[Any]], codes: NDArray[np.uint8], others: NDArray[np.uint8], /
    ) -> NDArray[np.bool_]:
        """(N, bits): bits that may differ between two codes of an embedding (N, D), made on different machines.

        Of binary codes those whose embedding lies within `SOFT_BIT` of the threshold, of a class index those where two
        scores do, and those of a codeword where the two are the nearest up to `SOFT_CODEWORD`.
        """
        ...

    def threshold_of_bits(self) -> float | None:
        """What every dimension of an embedding is compared with, a bit each; None where bits come about otherwise."""
        ...

    def graph(self) -> "nn.Module":
        """`encode` before packing for an exported graph: embeddings (N, D) float32 → bits (N, bits) int32."""
        ...


class Bits:
    """What codes have in common whose bits are compared one by one: binary ones and class indexes."""

    distances: ClassVar[tuple[str, ...]] = ("hamming",)
    distance: Literal["hamming"] = "hamming"

    def layout(self) -> dict[str, Any]:
        """Nothing: bits and rule say all."""
        return {}

    def usage(self, embedding: NDArray[np.floating[Any]], /) -> None:
        """None: bits have no codebooks."""

    def threshold_of_bits(self) -> float | None:
        """None, unless a child says otherwise."""
        return None


def require_distance(kind: str, distance: str | None, known: tuple[str, ...]) -> str:
    """The distance of codes of a kind: one of those known, the first for None; else `ValueError`."""
    if distance is None:
        return known[0]
    if distance not in known:
        wanted = " or ".join(map(repr, known))
        raise ValueError(f"code_distance of {kind} codes must be {wanted}, got {distance!r}; update dqh")
    return distance


def require_state(
    bits: int,
    state: Mapping[str, NDArray[Any]],
    wanted: Mapping[str, tuple[type[np.generic], int]],
    *,
    optional: Collection[str] = (),
) -> None:
    """Raise `ValueError` unless a kept state is one that a quantizer can have made, all that is wrong in one text.

    `wanted` is name → dtype and number of dimensions of every array, `optional` those that may be missing.
    """
    problems = [] if type(bits) is int and bits >= 1 else [f"bits must be an integer of at least 1, got {bits!r}"]
    if missing := sorted(set(wanted) - set(optional) - set(state)):
        problems.append(f"{', '.join(missing)} must be there, got {', '.join(sorted(state)) or 'nothing'}")
    if unknown := sorted(set(state) - set(wanted)):
        problems.append(f"{', '.join(unknown)} must not be there, wanted {', '.join(wanted) or 'nothing'} alone")
    for name, array in state.items():
        dtype, dimensions = wanted.get(name, (array.dtype, array.ndim))
        if (array.dtype, array.ndim) != (np.dtype(dtype), dimensions):
            got = f"{array.dtype} of shape {array.shape}"
            problems.append(f"{name} must be {np.dtype(dtype)} of {dimensions} dimensions, got {got}")
        elif not np.isfinite(array).all():
            problems.append(f"{name} must be finite, it holds NaN or infinity")
    if problems:
        raise ValueError("; ".join(problems))


def require_embedding(embedding: NDArray[np.floating[Any]], dimension: int, *, finite: bool = False) -> None:
    """Raise `ValueError` unless an embedding has the shape (N, `dimension`) and is free of NaN, or all `finite`."""
    if embedding.ndim != 2 or embedding.shape[1] != dimension:
        raise ValueError(f"embedding must have shape (N, {dimension}), got {embedding.shape}")
    bad = ~np.isfinite(embedding) if finite else np.isnan(embedding)
    if bad.any():
        rows = np.flatnonzero(bad.any(axis=1))
        unwanted = "NaN and infinity" if finite else "NaN"
        raise ValueError(f"embedding must be free of {unwanted}, got it in {len(rows)} rows, first row {rows[0]}")


def require_spread(codebooks: NDArray[np.float32]) -> None:
    """Raise `ValueError` where no two codes of codebooks (M, K, d) differ, or float32 does not hold how far they do.

    Some codewords may be equal: k-means leaves such where there is little to tell apart.
    """
    if (codebooks == codebooks[:, :1]).all():
        raise ValueError("codebooks: all codewords of a subspace are equal, in every subspace, so that all codes are")
    squares = np.square(codebooks, dtype=np.float64).sum(2).max(1).sum()
    if 4 * squares > np.finfo(np.float32).max:  # ‖a − b‖² is at most 4 times the larger of ‖a‖² and ‖b‖²
        raise ValueError(
            f"codebooks: squared distances between what codes stand for overflow float32, norms are up to "
            f"{squares**0.5:.3g}"
        )
