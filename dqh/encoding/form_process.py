"""An exported encoder that answers from a process of its own, so that whatever it does can be ended.

N inputs.
"""

from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dqh.artifact.answers import Answers, require_answers
from dqh.encoding.onnx_session import INPUT_SECONDS, LOAD_SECONDS, RUN_SECONDS
from dqh.encoding.process import Message, Process, ProcessError
from dqh.errors import ArtifactError, first_line


class FormProcess:
    """A form whose process has loaded it; Ctrl-C and SIGTERM end the process wherever it is, and so does `close`."""

    def __init__(self, handler: type[Any], runtime: str, name: str) -> None:
        self._runtime = runtime
        self._name = name
        self._process = Process(handler)

    def load(self, content: bytes, *, threads: int) -> dict[str, Any]:
        """Load the form, and tell what it says of itself.

        Raises:
            ArtifactError: it cannot be loaded, or not in `LOAD_SECONDS`.
        """
        request = Message({"do": "load", "threads": threads}, (np.frombuffer(content, np.uint8),))
        try:
            return self._process.ask(request, seconds=LOAD_SECONDS).fields
        except ProcessError as error:
            self.close()
            raise ArtifactError(
                f"{self._runtime} cannot load {self._name}: {first_line(error)}; export it again, or update "
                f"{self._runtime.partition(' ')[0]}"
            ) from error

    def __call__(self, inputs: NDArray[np.uint8] | NDArray[np.float32]) -> Answers:
        """What it says of raw images (N, 3, S, S) uint8 or vectors (N, F) float32.

        Raises:
            ArtifactError: it fails, answers something else than it should, or takes more than `RUN_SECONDS` and
                `INPUT_SECONDS` an input.
        """
        seconds = RUN_SECONDS + INPUT_SECONDS * len(inputs)
        try:
            arrays = self._process.ask(Message({"do": "run"}, (inputs,)), seconds=seconds).arrays
        except ProcessError as error:
            raise ArtifactError(
                f"{self._runtime} cannot run {self._name}: {first_line(error)}; export it again"
            ) from error
        return require_answers(arrays, len(inputs))

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
