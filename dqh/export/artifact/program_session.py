"""A program of `torch.export`: what runs inside a process of its own. Loading it unpickles: for trusted files alone.

This file imports nothing of this package (see `process`).
"""

import io
from typing import Any

import torch

OUTPUTS = ("codes", "embedding", "features")
"""What the program answers, by name."""


class ProgramSession:
    """Answers `load`, which gets the program as bytes (N,) uint8 and `threads`, and `run`, which gets inputs."""

    def __call__(self, request: Any) -> Any:
        """Nothing, or codes, embedding and features of a batch."""
        if request.fields["do"] == "load":
            torch.set_num_threads(request.fields["threads"])
            self._module = torch.export.load(io.BytesIO(request.arrays[0].tobytes())).module()
            return request._replace(fields={}, arrays=())
        with torch.inference_mode():
            answers = self._module(torch.from_numpy(request.arrays[0]))
        return request._replace(fields={}, arrays=tuple(answers[name].numpy() for name in OUTPUTS))
