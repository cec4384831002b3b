"""A detector of two networks that were exported to ONNX: the first proposes, the second looks at what it proposed.

K proposals of an input, A anchors, C classes. What lies between them, the choice of the proposals, is numpy's. Its
constants are those of `dqh.models.detectors.faster_rcnn_network`, which needs torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.detection.network import OnnxNetwork
from dqh.detection.proposals import Selection, select
from dqh.errors import DetectorError

LOOKED_AT = 300
"""Proposals among which the boxes are chosen that most surely show something, where K is less (Ren et al. 2015)."""

OVERLAP_OF_MOVED = 0.55
"""Intersection over union above which two of these are one, as of SSD."""

LEAST_DOUBT = 1e-6
"""How far from 0 and from 1 the share of a box that is no background is taken to be, at least."""


class TwoStageNetwork:
    """Runs as one network that answers with boxes (1, K, 4) and scores (1, K, C), 0 where there is no proposal.

    Args:
        first: images (1, 3, h, w) → boxes (1, A, 4) in pixels of the input, logits (1, A), and maps.
        second: proposals (1, K, 4), and those maps in their order → boxes (1, K, 4) and scores (1, K, C).
        selection: the proposals.

    Attributes:
        name: of the first, in messages.
    """

    def __init__(self, first: OnnxNetwork, second: OnnxNetwork, selection: Selection) -> None:
        self.name = first.name
        self._first, self._second = first, second
        self._selection = selection

    def input_size(self, asked: tuple[int, int] | None = None) -> tuple[int, int]:
        """Height and width of the input; see `OnnxNetwork.input_size`."""
        return self._first.input_size(asked)

    def run(self, images: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """Boxes and scores for an image (1, 3, height, width).

        Raises:
            DetectorError: a network fails, takes too long, or does not answer as it should.
        """
        proposals, objectness, maps = self._chosen(images, self._selection)
        boxes, scores = self._moved(proposals, maps)
        return boxes, np.where(objectness[np.newaxis, :, np.newaxis] > 0, scores, 0).astype(scores.dtype)

    def propose(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The boxes (1, K, 4) that most surely show something, and how surely (1, K), 0 where there is none.

        See `FasterRCNNNetwork.proposals_in`. The second network takes K proposals, so that it is asked several times.
        """
        most = self._selection.most
        proposals, objectness, maps = self._chosen(images, self._selection._replace(most=max(LOOKED_AT, most)))
        proposals = proposals[objectness > 0]
        if not len(proposals):
            return np.zeros((1, most, 4), np.float32), np.zeros((1, most), np.float32)
        groups = np.pad(proposals, ((0, -len(proposals) % most), (0, 0))).reshape(-1, most, 4)
        moved = zip(*(self._moved(group, maps) for group in groups), strict=True)
        boxes, scores = (np.concatenate(parts, axis=1)[0, : len(proposals)] for parts in moved)
        something = scores.sum(axis=1).clip(LEAST_DOUBT, 1 - LEAST_DOUBT)
        surest = self._selection._replace(threshold=0.0, iou=OVERLAP_OF_MOVED)
        own, sure = select(boxes, np.log(something / (1 - something)), surest)
        return own[np.newaxis], sure[np.newaxis]

    def close(self) -> None:
        """End both processes."""
        self._first.close()
        self._second.close()

    def _moved(self, proposals: NDArray[np.float32], maps: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Boxes (1, K, 4) and scores (1, K, C) that the second network makes of proposals (K, 4)."""
        answers = self._second.run(proposals[np.newaxis], *maps)
        if len(answers) != 2 or answers[1].shape[:2] != (1, len(proposals)):
            shapes = " and ".join(str(answer.shape) for answer in answers)
            raise DetectorError(
                f"{self._second.name} answers {shapes}, wanted boxes (1, {len(proposals)}, 4) and scores (1, "
                f"{len(proposals)}, classes); export both networks again"
            )
        return answers

    def _chosen(
        self, images: NDArray[np.float32], selection: Selection
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[NDArray[Any], ...]]:
        """Proposals (K, 4), their objectness (K,), and the maps."""
        answers = self._first.run(images)
        if len(answers) < 3 or answers[0].shape != (1, *answers[1].shape[1:], 4) or answers[1].ndim != 2:
            shapes = " and ".join(str(answer.shape) for answer in answers)
            raise DetectorError(
                f"{self.name} answers {shapes}, wanted boxes (1, n, 4), logits (1, n) and maps; export "
                "both networks again"
            )
        boxes, logits, *maps = answers
        if not (np.isfinite(boxes).all() and np.isfinite(logits).all()):
            raise DetectorError(f"{self.name} answers with numbers that are not finite; export both networks again")
        proposals, objectness = select(boxes[0], logits[0], selection)
        return proposals, objectness, tuple(maps)


def two_stages(
    models: tuple[bytes, bytes], selection: Selection, *, names: tuple[str, str], threads: int | None = None
) -> TwoStageNetwork:
    """Both networks, loaded; see `OnnxNetwork` for `threads` and errors.

    Args:
        models: contents of the two.
        selection: of the proposals.
        names: of the models, in messages.
        threads: that compute, of each.
    """
    first = OnnxNetwork(models[0], names[0], threads=threads)
    try:
        return TwoStageNetwork(first, OnnxNetwork(models[1], names[1], threads=threads), selection)
    except BaseException:
        first.close()
        raise
