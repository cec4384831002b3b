"""Answers of a network that are no numbers: an image that gets some is unusable, a network that gives no others too.

n images of a batch, D dimensions of an embedding, F of the features.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dqh.errors import ArtifactError, BadImageError

if TYPE_CHECKING:
    from dqh.data import Store

REASON = "the network answers NaN or infinity for it"


class Finite:
    """Which images of a pass have finite answers; a store gets to know the others."""

    def __init__(self, store: "Store | NDArray[Any]", kind: str) -> None:
        self._store, self._kind = store, kind
        self._fine: list[NDArray[np.bool_]] = []

    def see(self, embedding: NDArray[np.float32], features: NDArray[np.float32]) -> None:
        """The answers (n, D) and (n, F) to the next images; `ArtifactError` where none of the first ones is finite."""
        fine = np.asarray(np.isfinite(np.hstack([embedding, features])).all(axis=1))
        if not self._fine and len(fine) and not fine.any():
            raise ArtifactError(
                f"the network answers NaN or infinity for each of the first {len(fine)} {self._kind}s: its weights "
                "cannot be used; look what is wrong with them: dqh verify ARTIFACT"
            )
        self._fine.append(fine)

    def chosen(self, rows: NDArray[np.int64]) -> NDArray[np.bool_] | slice:
        """The places of all images seen, (N,) bool, that can be used; a slice of all where all can.

        Raises:
            BadImageError: one of an array cannot.
        """
        fine = np.concatenate([np.empty(0, np.bool_), *self._fine])
        if fine.all():
            return slice(None)
        others = rows[~fine].tolist()
        if isinstance(self._store, np.ndarray):
            raise BadImageError(f"{self._kind} {others[0]} cannot be used: {REASON}")
        self._store.skipped.update(dict.fromkeys(others, REASON))
        return fine
