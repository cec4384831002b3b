"""An artifact as a program of `torch.export`, for services that have torch and not this package.

Loading such a file unpickles parts of it: only files from people one trusts, and only after their hash is checked. It
runs in a process of its own.
"""

import io

import torch

from dqh.artifact.artifact import Artifact
from dqh.encoding.form_process import FormProcess
from dqh.errors import ArtifactError, first_line
from dqh.export.artifact.graph import example_of, graph_of
from dqh.export.artifact.program_session import ProgramSession


def exported_program(artifact: Artifact) -> bytes:
    """The content of `encoder.pt2`: answers a dict of codes, embedding and features, for any batch size.

    Raises:
        ArtifactError: torch cannot export this network.
    """
    shapes = ({0: torch.export.Dim("batch")},)
    try:
        program = torch.export.export(graph_of(artifact), (example_of(artifact),), dynamic_shapes=shapes)
    except Exception as error:  # what a network does that cannot be traced makes it raise nearly anything
        raise ArtifactError(f"torch {torch.__version__} cannot export this network: {first_line(error)}") from error
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            node.meta.pop("stack_trace", None)  # it names places on this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


class ProgramForm(FormProcess):
    """Answers as the artifact does. This unpickles: `content` must come from someone one trusts.

    Raises:
        ArtifactError: torch cannot load it, or not in `LOAD_SECONDS`.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(ProgramSession, f"torch {torch.__version__}", "encoder.pt2")
        self.load(content, threads=torch.get_num_threads())
