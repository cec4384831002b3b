"""What the shallow binary baselines have in common: B real functions of a vector, whose signs are the bits.

Here: the base class, and the checks of what they are fitted on. Each method is a file of its own.

N vectors, F dimensions of a vector, C classes, B bits.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dqh.codes import code_bytes, pack
from dqh.errors import NotFittedError
from dqh.quantizers.quantizer import Bits

Vectors = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]] | NDArray[np.bool_]

_CHUNK = 2**11
"""Vectors that are held in float64 at a time."""


class SignHash(Bits, ABC):
    """Bit b of a code is 1 where function b of the vector is at least 0, so that sign(0) = +1.

    The functions are linear, (x − mean) · projection, unless a child says otherwise. They are computed in float64.

    Args:
        bits: B.
        seed: of every random step of `fit`; the same seed and vectors give the same codes.

    Attributes:
        dimension: F; None before `fit`.
        mean: (F,) float64, there after `fit`.
        projection: (F, B) float64, there after `fit`.

    Raises:
        ValueError: `bits` is below 1.
    """

    mean: NDArray[np.float64]
    projection: NDArray[np.float64]

    def __init__(self, bits: int, *, seed: int = 0) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        self.bits = bits
        self.seed = seed
        self.dimension: int | None = None

    def fit(self, vectors: Vectors, labels: Labels | None = None) -> Self:
        """Learn the functions, on one thread of BLAS.

        These fits are thousands of small products and decompositions. Threads of OpenBLAS spin while they wait for each
        other, and no variable makes them sleep: on a machine that does something else too, an ITQ of 20,000 vectors
        took 19 s on two threads and 2 s on one. The number of threads is set for the whole process meanwhile.

        Args:
            vectors: (N, F) float, finite; never modified.
            labels: (N,) integers or (N, C) bool; methods without supervision leave them unread.

        Returns:
            The object itself.

        Raises:
            TypeError: labels that a method reads and that are neither integers nor bool.
            ValueError: vectors or labels that the method cannot be fitted on; `_learn` of each says which.
        """
        with threadpool_limits(1, user_api="blas"):
            self._learn(vectors, labels)
        return self

    @abstractmethod
    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Check what `fit` was given, and set `dimension`, `mean` and `projection`."""

    def encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        """Codes (N, ⌈B / 8⌉) uint8, packed as `dqh.codes` describes it, of vectors (N, F) float.

        Raises:
            NotFittedError: before `fit`.
            ValueError: vectors of another shape or type, or not finite.
        """
        if self.dimension is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(vectors, labels) first")
        require_vectors(vectors, dimension=self.dimension)
        codes = np.empty((len(vectors), code_bytes(self.bits)), np.uint8)
        for start, chunk in enumerate(chunks(vectors)):
            codes[start * _CHUNK : (start + 1) * _CHUNK] = pack(self.values(chunk) >= 0)
        return codes

    def values(self, vectors: Vectors) -> NDArray[np.float64]:
        """(N, B) float64 values of the functions whose signs are the bits; vectors (N, F) are not checked."""
        return (vectors - self.mean) @ self.projection


def require_vectors(vectors: Vectors, *, dimension: int | None = None, least: int = 0) -> None:
    """Raise `ValueError` unless vectors are (N, F) float, finite, `least` at least, and from 2 on not all equal."""
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or vectors.shape[1] != (dimension or max(vectors.shape[1], 1)):
        raise ValueError(
            f"vectors must be float of shape (N, {dimension or 'F'}), got {vectors.dtype} of shape {vectors.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(f"vectors must be finite, got NaN or infinity in {len(bad)} rows, first row {bad[0]}")
    if len(vectors) < least:
        raise ValueError(f"fit needs at least {least} vectors, got {len(vectors)}")
    if least > 1 and (vectors.min(axis=0) == vectors.max(axis=0)).all():
        raise ValueError(f"vectors must differ from one another, got {len(vectors)} equal ones")


def require_iterations(iterations: int) -> None:
    """Raise `ValueError` unless `iterations` is at least 0."""
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")


def label_indicators(labels: Labels | None, vectors: Vectors) -> NDArray[np.bool_]:
    """Which class each vector has, or which classes.

    Of labels (N,) integers or (N, C) bool, (N, C) bool; of single labels, a column for each class that occurs.

    Raises:
        TypeError: labels that are neither integers nor bool.
        ValueError: no labels, another shape, or another number of rows.
    """
    if labels is None:
        raise ValueError("labels are needed by a supervised method, got None; call fit(vectors, labels)")
    if labels.dtype.kind not in "iub":
        raise TypeError(f"labels must be (N,) integers or (N, C) bool, got {labels.dtype} of shape {labels.shape}")
    if (labels.ndim, labels.dtype.kind == "b") not in ((1, False), (2, True)):
        raise ValueError(f"labels must be (N,) integers or (N, C) bool, got {labels.dtype} of shape {labels.shape}")
    if len(labels) != len(vectors):
        raise ValueError(f"labels must have one row a vector, got {len(labels)} rows for {len(vectors)} vectors")
    return labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.unique(labels)


def chunks(vectors: Vectors) -> Iterator[NDArray[np.float64]]:
    """The vectors in float64, 2,048 rows at a time."""
    for start in range(0, len(vectors), _CHUNK):
        yield vectors[start : start + _CHUNK].astype(np.float64)


def project(vectors: Vectors, directions: NDArray[np.float64], *, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K) float64 coordinates of vectors (N, F) along directions (F, K), from the mean (F,) on."""
    return np.concatenate([(chunk - mean) @ directions for chunk in chunks(vectors)])


def principal_directions(vectors: Vectors, count: int, *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and leading principal directions.

    scikit-learn's PCA chooses its solver by size; the seed matters only to the randomised one, for large inputs.

    The mean (F,) and (F, K) float64, orthonormal columns in descending variance; K is at most min(F, N − 1).
    """
    from sklearn.decomposition import PCA  # a second of imports, for those who fit

    components = PCA(count, random_state=seed).fit(vectors)
    return components.mean_.astype(np.float64), np.ascontiguousarray(components.components_.T, dtype=np.float64)
