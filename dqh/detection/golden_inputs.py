"""Inputs of a detector that are kept in its folder with what they must get: whether a network still answers so.

N inputs of S × S pixels, n boxes that a network answers with, C classes. Nothing here loads torch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.artifact.reading import parse_npy
from dqh.errors import ArtifactError, DetectorError

GOLDEN = ("golden/inputs.npy", "golden/boxes.npy", "golden/scores.npy")
"""The files."""

TOLERANCE = 1e-3
"""Largest difference of golden boxes, in parts of the side of the input, and of golden scores, between machines.

Float32 in another order of sums differs by about 1e-6.
"""

SURE = 0.05
"""Score of a row from which on it is looked for among all rows, where answers come in another order."""


class GoldenVerdict(NamedTuple):
    """How the answers to golden inputs compare with the kept ones.

    Attributes:
        inputs: N.
        box_error: largest difference of an edge, in parts of the side of the input.
        score_error: largest difference of a score.
    """

    inputs: int
    box_error: float
    score_error: float

    @property
    def holds(self) -> bool:
        """Whether the answers are the kept ones to `TOLERANCE`."""
        return self.box_error <= TOLERANCE and self.score_error <= TOLERANCE  # NaN is no small error


class GoldenInputs(NamedTuple):
    """Inputs that are kept with what they must get.

    Attributes:
        inputs: (N, 3, S, S) uint8.
        boxes: (N, n, 4) float32, pixels of the input.
        scores: (N, n, C) float32.
    """

    inputs: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def answers(
        self, run: Callable[[NDArray[np.float32]], tuple[NDArray[Any], ...]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Boxes (N, n, 4) and scores (N, n, C) that a network says of the inputs, one after the other."""
        boxes, scores = zip(*(run(image[np.newaxis].astype(np.float32)) for image in self.inputs), strict=True)
        return np.concatenate(boxes), np.concatenate(scores)

    def compared(self, boxes: NDArray[np.float32], scores: NDArray[np.float32], *, size: int) -> GoldenVerdict:
        """How answers compare with what is kept, row by row.

        Where that differs, rows may have changed places, as proposals of nearly the same objectness do: each row of a
        score of `SURE` on either side is then compared with the nearest of the other side.

        Args:
            boxes: (N, n, 4).
            scores: (N, n, C).
            size: S.

        Raises:
            DetectorError: they have other shapes.
        """
        if boxes.shape != self.boxes.shape or scores.shape != self.scores.shape:
            raise DetectorError(
                f"answers of shapes {boxes.shape} and {scores.shape}, kept are {self.boxes.shape} and "
                f"{self.scores.shape}; train it again"
            )
        verdict = GoldenVerdict(
            len(self.inputs),
            float(np.abs(boxes - self.boxes).max(initial=0)) / size,
            float(np.abs(scores - self.scores).max(initial=0)),
        )
        sides = zip(self.boxes / size, self.scores, boxes / size, scores, strict=True)
        errors = [error for kept in sides for error in (*_moved(*kept), *_moved(*kept[2:], *kept[:2]))]
        if verdict.holds or not errors or np.isnan([verdict.box_error, verdict.score_error]).any():
            return verdict
        return verdict._replace(box_error=max(row[0] for row in errors), score_error=max(row[1] for row in errors))


def read_golden(read: Callable[[str], bytes], *, size: int, where: str) -> GoldenInputs:
    """The golden inputs of a folder.

    Args:
        read: the content of a file by its name, one of `GOLDEN`.
        size: S.
        where: the folder, in messages.

    Raises:
        DetectorError: they are damaged; `read` has errors of its own.
    """
    kinds: tuple[type[np.generic], ...] = (np.uint8, np.float32, np.float32)
    try:
        golden = GoldenInputs(
            *(parse_npy(read(name), name, dtypes=[kind]) for name, kind in zip(GOLDEN, kinds, strict=True))
        )
    except ArtifactError as error:
        raise DetectorError(f"{where}: {error}") from error
    if golden.inputs.ndim != 4 or golden.inputs.shape[1:] != (3, size, size) or not len(golden.inputs):
        raise DetectorError(f"{where}/{GOLDEN[0]} is {golden.inputs.shape}, wanted (N, 3, {size}, {size}), N ≥ 1")
    return golden


def _moved(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    other_boxes: NDArray[np.float32],
    other_scores: NDArray[np.float32],
) -> list[tuple[float, float]]:
    """Of each row that is sure: how far box and scores are from those of the nearest of other rows."""
    errors = []
    for row in np.flatnonzero(scores.max(axis=1, initial=0) >= SURE):
        box_errors = np.abs(other_boxes - boxes[row]).max(axis=1)
        score_errors = np.abs(other_scores - scores[row]).max(axis=1)
        nearest = np.maximum(box_errors, score_errors).argmin()
        errors.append((float(box_errors[nearest]), float(score_errors[nearest])))
    return errors
