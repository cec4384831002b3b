"""A detector with a network, mostly one that was exported to ONNX: a photo into it, and its output into boxes.

N photos, h × w pixels of the network's input.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dqh.detection.decoders import DECODERS
from dqh.detection.detections import Detections, Objects, detections_of
from dqh.detection.detector import require_photos
from dqh.detection.letter_box import in_photo, letter_box
from dqh.detection.network import CHANNELS
from dqh.detection.spec import DetectorSpec
from dqh.detection.suppression import suppress
from dqh.errors import DetectorError


class Runnable(Protocol):
    """A network that has been loaded: `OnnxNetwork`, or `TorchNetwork`.

    Attributes:
        name: in messages.
    """

    name: str

    def input_size(self, asked: tuple[int, int] | None = None) -> tuple[int, int]:
        """Height and width of its input; `DetectorError` where others are asked for."""

    def run(self, images: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """All outputs for images (1, 3, height, width); `DetectorError` where it fails."""

    def propose(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """What is proposed in images (1, 3, height, width) before it has a class; None where the network tells none.

        Boxes (1, K, 4) in pixels of the input, the surest first, and their objectness (1, K), 0 where there is none.
        """

    def close(self) -> None:
        """Let go of what it holds."""


class OnnxDetector:
    """Detects by a network as its spec says, in ONNX or in torch; see `Detector`.

    One photo enters the network at a time, so that the photos beside it change nothing. Boxes are clipped to the photo,
    those that are empty then go, and then those that lie on a surer one of their class.

    Args:
        network: that has been loaded.
        spec: how it is run.
        detector_id: of both.

    Attributes:
        classes: names.
        detector_id: as given.
        most: objects of a photo at most.
        spec: as given.

    Raises:
        DetectorError: the input or the output of the network is not as the spec has it; it is run once to see.
    """

    def __init__(self, network: Runnable, spec: DetectorSpec, detector_id: str) -> None:
        network.input_size((spec.height, spec.width))
        self.classes = spec.classes
        self.detector_id = detector_id
        self.most = spec.settings.most
        self.spec = spec
        self._network = network
        self._decoder = DECODERS[spec.decoder]
        self._proposed(np.full((spec.height, spec.width, CHANNELS), spec.settings.padding, np.uint8))

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Detections:
        """The objects in photos; see `Detector.detect`."""
        require_photos(images)
        return detections_of([self._objects(image) for image in images], self.most)

    def propose(self, image: NDArray[np.uint8]) -> Objects | None:
        """What is proposed in a photo (H, W, 3) before it has a class, the surest first; None where that is not told.

        All are of class 0, with their objectness as the score, in pixels of the photo; what lies beside it is left out.
        """
        require_photos([image])
        boxed = letter_box(image, self.spec.height, self.spec.width, padding=self.spec.settings.padding)
        answer = self._network.propose(self._input(boxed.pixels))
        if answer is None:
            return None
        boxes, objectness = in_photo(answer[0][0], boxed), answer[1][0]
        whole = np.all(boxes[:, :2] < boxes[:, 2:], axis=1) & (objectness > 0)
        return Objects(boxes[whole], objectness[whole], np.zeros(int(whole.sum()), np.int64))

    def _objects(self, image: NDArray[np.uint8]) -> Objects:
        settings = self.spec.settings
        boxed = letter_box(image, self.spec.height, self.spec.width, padding=settings.padding)
        proposed = self._proposed(boxed.pixels)
        proposed = proposed._replace(boxes=in_photo(proposed.boxes, boxed))
        whole = proposed.take(np.all(proposed.boxes[:, :2] < proposed.boxes[:, 2:], axis=1))
        return whole.take(suppress(*whole, iou=settings.iou, most=settings.most))

    def _proposed(self, pixels: NDArray[np.uint8]) -> Objects:
        """What the network proposes in an input (h, w, 3), in its pixels."""
        spec, settings = self.spec, self.spec.settings
        try:
            return self._decoder.decode(
                self._network.run(self._input(pixels)),
                height=spec.height,
                width=spec.width,
                classes=len(spec.classes),
                threshold=settings.threshold,
            )
        except ValueError as error:
            raise DetectorError(
                f"{self._network.name} does not answer as decoder {self._decoder.name} reads it: {error}; export it as "
                "docs/detectors.md says, or name another decoder or class list"
            ) from error

    def _input(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels (h, w, 3) as images (1, 3, h, w) of the network."""
        settings = self.spec.settings
        ordered = pixels[..., ::-1] if settings.colour == "BGR" else pixels
        images = np.ascontiguousarray(ordered.transpose(2, 0, 1)[np.newaxis], np.float32)
        if settings.largest != 255.0:
            images *= settings.largest / 255.0
        return images

    def close(self) -> None:
        """End the process of the network."""
        self._network.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
