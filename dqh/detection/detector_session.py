"""The network of a detector as ONNX Runtime runs it: what runs inside a process of its own.

Of this package it imports one file that needs numpy alone, so that the process starts in a fraction of a second.
"""

from typing import Any

import numpy as np

from dqh.encoding.onnx_session import session_of


class DetectorSession:
    """Answers `load`, which gets the model as bytes (N,) uint8 and `threads`, and `run`, which gets all inputs."""

    def __call__(self, request: Any) -> Any:
        """`inputs` and `outputs` as name, type and shape, and name and version of `runtime`; or the outputs."""
        if request.fields["do"] == "load":
            self._session, runtime = session_of(request.arrays[0], request.fields["threads"])
            fields = {
                "inputs": [[port.name, port.type, port.shape] for port in self._session.get_inputs()],
                "outputs": [[port.name, port.type, port.shape] for port in self._session.get_outputs()],
                "runtime": runtime,
            }
            return request._replace(fields=fields, arrays=())
        names = [port.name for port in self._session.get_inputs()]
        answers = self._session.run(None, dict(zip(names, request.arrays, strict=True)))
        if not all(isinstance(answer, np.ndarray) and answer.dtype.kind in "biuf" for answer in answers):
            raise TypeError("an output is no array of numbers")
        return request._replace(fields={}, arrays=tuple(answers))
