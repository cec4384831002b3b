"""The two rankers of related items, by name, and what each is kept as."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.lambda_mart import LambdaMART, fit_lambda_mart, lambda_mart
from dqh.discovery.related.lessons import Lessons
from dqh.discovery.related.pair_features import FEATURES, SIGNS
from dqh.discovery.related.rank_svm import RankSVM, fit_rank_svm
from dqh.tensors import read_arrays, write_arrays

RankerName = Literal["ranksvm", "lambdamart"]
RANKERS: tuple[RankerName, ...] = ("ranksvm", "lambdamart")
SUFFIX: dict[RankerName, str] = {"ranksvm": ".safetensors", "lambdamart": ".txt"}
"""Of the file of each: arrays, and LightGBM's own text."""

_ARRAYS = ("mean", "scale", "weights")
"""Of a `RankSVM`."""


class Ranker(Protocol):
    """What tells which candidates of a query are better."""

    def scores(self, features: NDArray[np.float64], /) -> NDArray[np.float64]:
        """(m,) of features (m, C); the higher, the better, and comparable within a query alone."""
        ...


def fit_ranker(name: RankerName, lessons: Lessons, columns: Sequence[str], *, seed: int = 0) -> Ranker:
    """A ranker by some of `FEATURES`.

    Args:
        name: of `RANKERS`.
        lessons: with all features.
        columns: C names.
        seed: of what it draws.

    Raises:
        DqhError: lightgbm is needed and not installed.
        ValueError: the log says too little.
    """
    chosen = lessons._replace(features=lessons.features[:, places_of(columns)])
    if name == "ranksvm":
        return fit_rank_svm(chosen, seed=seed)
    return fit_lambda_mart(chosen, signs=[SIGNS[column] for column in columns], seed=seed)


def places_of(columns: Sequence[str]) -> list[int]:
    """Where some features stand among `FEATURES`."""
    return [FEATURES.index(column) for column in columns]


def ranker_bytes(ranker: Ranker) -> bytes:
    """The content of the file of a ranker."""
    if isinstance(ranker, RankSVM):
        return write_arrays({"mean": ranker.mean, "scale": ranker.scale, "weights": ranker.weights})
    assert isinstance(ranker, LambdaMART)
    return ranker.text.encode()


def read_ranker(name: RankerName, content: bytes, columns: Sequence[str]) -> Ranker:
    """The ranker in the content of a file.

    Raises:
        DqhError: lightgbm is needed and not installed.
        ValueError: it is not what was written, or makes no sense.
    """
    if name == "lambdamart":
        return lambda_mart(content.decode(), features=len(columns))
    arrays = read_arrays(content)
    if set(arrays) != set(_ARRAYS):
        raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}, wanted mean, scale and weights")
    for field in _ARRAYS:
        array = arrays[field]
        if array.dtype != np.float64 or array.shape != (len(columns),) or not np.isfinite(array).all():
            raise ValueError(f"{field} must be {len(columns)} finite float64, got {array.dtype} of shape {array.shape}")
    mean, scale, weights = (np.asarray(arrays[field], np.float64) for field in _ARRAYS)
    if not (scale > 0).all():
        raise ValueError("scale must be above 0")
    return RankSVM(mean, scale, weights)
