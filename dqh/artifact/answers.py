"""What an encoder, in whatever form, says of some inputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.errors import ArtifactError


class Answers(NamedTuple):
    """What an encoder says of N inputs: codes (N, ⌈B / 8⌉) uint8, embedding (N, D), features (N, F) float32."""

    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: NDArray[np.float32]


def require_answers(arrays: Sequence[NDArray[Any]], count: int) -> Answers:
    """Codes, embedding and features of a form for `count` inputs; `ArtifactError` where types or shapes are others."""
    wanted = (np.uint8, np.float32, np.float32)
    fits = len(arrays) == 3 and all(
        array.dtype == dtype and array.ndim == 2 and len(array) == count
        for array, dtype in zip(arrays, wanted, strict=True)
    )
    if not fits:
        got = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
        raise ArtifactError(
            f"{count} inputs got answers {got}, wanted codes, embedding and features, uint8, float32 and float32 of "
            f"shape ({count}, …); export the form again"
        )
    return Answers(*arrays)
