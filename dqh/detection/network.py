"""The network of a detector, exported to ONNX by anybody: ONNX Runtime runs it on the CPU, in a process of its own.

The process is ended where loading or a run takes longer than it may; a model that names other files, or asks for
operators beyond those of ONNX, is refused: see `dqh.encoding.onnx_session`. Needs the package onnxruntime.
"""

from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dqh import cores
from dqh.detection.detector_session import DetectorSession
from dqh.encoding.onnx_runtime import require_package, runtime_version
from dqh.encoding.onnx_session import INPUT_SECONDS, LOAD_SECONDS, RUN_SECONDS
from dqh.encoding.process import Message, Process, ProcessError
from dqh.errors import ConfigError, DetectorError, first_line

CHANNELS = 3

GONE = ("time", "ended")
"""Kinds of errors behind which there is no process any more."""


class Port(NamedTuple):
    """What goes into a network or comes out of it.

    Attributes:
        name: in the model.
        type: as ONNX Runtime names it, such as `tensor(float)`.
        shape: a number of each dimension; a name, or None, where that may be any.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        """Such as `images, tensor(float) (1, 3, 416, 416)`."""
        return f"{self.name}, {self.type} ({', '.join('?' if side is None else str(side) for side in self.shape)})"


class OnnxNetwork:
    """A network that has been loaded.

    Args:
        content: of the model.
        name: of the model in messages.
        threads: that compute; None for as many as there are cores, see `dqh.cores.threads`.

    Attributes:
        inputs: of the network.
        outputs: of the network; many exporters leave their shapes open.

    Raises:
        DetectorError: the model keeps weights elsewhere, or asks for operators that are not of ONNX, or ONNX Runtime
            cannot load it, or not in `LOAD_SECONDS`.
        DqhError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, name: str, *, threads: int | None = None) -> None:
        require_package("onnxruntime", of="a detector")
        self.name = name
        self._runtime = f"onnxruntime {runtime_version()}"
        self._content, self._threads = content, threads or cores.threads()
        self._is_gone = self._is_closed = False
        fields = self._load()
        self.inputs, self.outputs = _ports(fields["inputs"]), _ports(fields["outputs"])

    def _load(self) -> dict[str, Any]:
        """Begin a process, and tell what the model says of itself."""
        self._process = Process(DetectorSession)
        request = Message({"do": "load", "threads": self._threads}, (np.frombuffer(self._content, np.uint8),))
        try:
            return self._process.ask(request, seconds=LOAD_SECONDS).fields
        except ProcessError as error:
            self._process.close()
            raise DetectorError(
                f"{self._runtime} cannot load {self.name}: {first_line(error)}; export the model again, or update "
                "onnxruntime"
            ) from error

    def input_size(self, asked: tuple[int, int] | None = None) -> tuple[int, int]:
        """Height and width of the images (1, 3, height, width) float32 that the network wants.

        Args:
            asked: height and width; None for those that the model has, `--size` in messages.

        Raises:
            DetectorError: it wants something else than such images, or images of another size.
            ConfigError: it takes images of any size, and none is asked for.
        """
        wanted = "wanted one of tensor(float) (1, 3, height, width)"
        if len(self.inputs) != 1:
            raise DetectorError(f"the inputs of {self.name} are {_listed(self.inputs)}; {wanted}")
        (port,) = self.inputs
        batch, channels, *sides = port.shape if len(port.shape) == 4 else (0, 0)
        if port.type != "tensor(float)" or not _may_be(batch, 1) or not _may_be(channels, CHANNELS):
            raise DetectorError(f"the input of {self.name} is {port}; {wanted}")
        own = [side if isinstance(side, int) and side > 0 else None for side in sides]
        if asked is None:
            height, width = own
            if height is None or width is None:
                raise ConfigError(f"the input of {self.name} is {port}, of no size of its own; say it: --size H,W")
            return height, width
        if not all(map(_may_be, own, asked)):
            raise DetectorError(
                f"the input of {self.name} is {port}, got a size of {asked[0]} × {asked[1]} pixels; leave the size off"
            )
        return asked

    def run(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs for all inputs, in the order of the model: mostly images (1, 3, height, width) alone.

        An input that ends the process takes no other one along.

        Raises:
            DetectorError: it fails, answers something else than arrays of numbers, or takes too long.
        """
        if self._is_gone:
            self._load()
            self._is_gone = False
        try:
            return self._process.ask(Message({"do": "run"}, inputs), seconds=RUN_SECONDS + INPUT_SECONDS).arrays
        except ProcessError as error:
            self._is_gone = error.kind in GONE and not self._is_closed
            raise DetectorError(
                f"{self._runtime} cannot run {self.name}: {first_line(error)}; export the model again"
            ) from error

    def propose(self, images: NDArray[np.float32]) -> None:
        """One network has no proposals of its own; see `dqh.detection.onnx_detector.Runnable.propose`."""

    def close(self) -> None:
        """End the process."""
        self._is_closed = True
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _may_be(side: int | str | None, value: int) -> bool:
    return not isinstance(side, int) or side == value


def _ports(fields: list[list[Any]]) -> tuple[Port, ...]:
    return tuple(Port(name, kind, tuple(shape)) for name, kind, shape in fields)


def _listed(ports: tuple[Port, ...]) -> str:
    return " and ".join(map(str, ports)) or "none"
