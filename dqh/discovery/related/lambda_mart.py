"""LambdaMART: boosted regression trees that put saved candidates first, by LightGBM (the extra `related`).

R pairs of a query and a candidate, C features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.lessons import Lessons
from dqh.errors import DqhError

INSTALL = "uv sync --inexact --extra related"
ROUNDS = 150
"""Trees."""

_LEAST_SHOWS = 20, 1000
"""Shows of a leaf: the fewest of a short log, and of a long one."""


@dataclass(frozen=True)
class LambdaMART:
    """Trees as LightGBM writes them.

    Attributes:
        text: the model, in LightGBM's own format.
    """

    text: str
    _booster: Any = field(repr=False, compare=False)

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(R,) of features (R, C); the higher, the better, and comparable within a query alone."""
        if not len(features):
            return np.empty(0)
        return np.asarray(self._booster.predict(features, num_threads=1), np.float64)


def lambda_mart(text: str, *, features: int) -> LambdaMART:
    """The trees of a text that LightGBM wrote.

    Args:
        text: the model.
        features: C.

    Raises:
        DqhError: lightgbm is not installed.
        ValueError: a tree leads nowhere, or in circles, reads features that there are not, or is of another kind; or
            LightGBM does not read the text.
    """
    _require_trees(text, features)
    lightgbm = _lightgbm()
    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(f"LightGBM does not read it: {error}") from error
    if booster.num_feature() != features or booster.num_model_per_iteration() != 1:
        raise ValueError(f"it reads {booster.num_feature()} features, wanted {features}")
    return LambdaMART(text, booster)


def fit_lambda_mart(
    lessons: Lessons,
    *,
    signs: Sequence[int],
    regularisation: float | None = 0.0,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> LambdaMART:
    """Trees that learn from the lists as they were shown (Burges, From RankNet to LambdaRank to LambdaMART, 2010).

    Corrected for positions by a factor of each position that is learnt beside the trees, in LightGBM's `position=`
    (after Hu et al., Unbiased LambdaMART, 2019). Their regularisation is 0: any other draws them back to what they
    correct. Trees rise or fall with a feature as `signs` says: nearer is never worse.

    Args:
        lessons: with saves.
        signs: of each of C features 1 where more is better, −1 where less is, 0 where nobody knows.
        regularisation: of the factors; None to tell no positions, so that nothing is corrected. Where the log does not
            say one of them, none is told.
        rounds: trees.
        seed: of LightGBM.

    Raises:
        DqhError: lightgbm is not installed.
        ValueError: nothing was saved.
    """
    if not lessons.saved.any():
        raise ValueError("nothing that was shown beside a query was saved; give a longer log")
    lightgbm = _lightgbm()
    sizes = np.bincount(lessons.lists)
    data = lightgbm.Dataset(
        lessons.features[lessons.rows],
        lessons.saved.astype(np.int64),
        group=sizes[sizes > 0],
        position=lessons.positions if regularisation is not None and (lessons.positions > 0).all() else None,
        params={"verbosity": -1, "num_threads": 1},
    )
    few, many = _LEAST_SHOWS
    settings = {
        "objective": "lambdarank",
        "lambdarank_position_bias_regularization": regularisation or 0.0,
        "lambdarank_truncation_level": int(sizes.max()),
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": min(many, max(few, len(lessons.saved) // 300)),
        "monotone_constraints": list(signs),
        "monotone_constraints_method": "advanced",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    booster = lightgbm.train(settings, data, num_boost_round=rounds)
    return lambda_mart(booster.model_to_string(), features=lessons.features.shape[1])


def _lightgbm() -> Any:
    try:
        return import_module("lightgbm")
    except ImportError as error:
        raise DqhError(f"LambdaMART needs the package lightgbm; install it: {INSTALL}") from error


def _require_trees(text: str, features: int) -> None:
    """Raise `ValueError` unless every tree of a text is one: LightGBM follows what it is given without looking."""
    head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    if not head.startswith("tree\n") or "\nnum_class=1\n" not in head or not trees:
        raise ValueError("it is no model of trees with one score")
    for number, tree in enumerate(trees):
        fields = dict(line.split("=", 1) for line in tree.split("\n")[1:] if "=" in line)
        try:
            leaves, categories = int(fields["num_leaves"]), int(fields["num_cat"])
            numbers = {name: [int(word) for word in fields.get(name, "").split()] for name in _OF_NODES}
            values = {name: [float(word) for word in fields.get(name, "").split()] for name in _OF_LEAVES}
        except (KeyError, ValueError) as error:
            raise ValueError(f"tree {number} cannot be read: {error}") from error
        if categories or leaves < 1 or not _is_tree(numbers, leaves, features):
            raise ValueError(f"tree {number} leads nowhere, or reads what there is not")
        sizes = (len(values["leaf_value"]), len(values["threshold"]))
        if sizes != (leaves, leaves - 1) or not np.isfinite(values["leaf_value"]).all():
            raise ValueError(f"tree {number} has {sizes[0]} values and {sizes[1]} thresholds for {leaves} leaves")


_OF_NODES = ("split_feature", "decision_type", "left_child", "right_child")
_OF_LEAVES = ("leaf_value", "threshold")


def _is_tree(numbers: dict[str, list[int]], leaves: int, features: int) -> bool:
    """Whether every node and leaf but the root is the child of one node before it, leaf l written as −l − 1."""
    nodes = leaves - 1
    if any(len(column) != nodes for column in numbers.values()):
        return False
    children = sorted(numbers["left_child"] + numbers["right_child"])
    after = all(
        child < 0 or child > node for side in ("left_child", "right_child") for node, child in enumerate(numbers[side])
    )
    wanted = [*range(-leaves, 0), *range(1, nodes)] if nodes else []
    return after and children == wanted and all(0 <= name < features for name in numbers["split_feature"])
