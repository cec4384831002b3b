"""An artifact as ONNX: uint8 images (or float32 vectors) in, packed codes, embedding and features out, any batch size.

Needs the extra `onnx`. How a network becomes such a model at all is in `dqh.export.onnx_export`.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

from dqh.artifact.artifact import Artifact
from dqh.encoding.onnx_session import INPUT
from dqh.errors import ArtifactError
from dqh.export.artifact.graph import OUTPUTS, example_of, graph_of
from dqh.export.onnx_export import onnx_bytes, onnx_of

_PACKAGE = Path(__file__).parents[2]

_PARTS = (
    *("sealed.py", "data/caps.py", "data/pixels.py"),
    *("encoding/process.py", "encoding/onnx_session.py", "export/plain_reading.py", "export/verify_onnx.py"),
)
"""Of the script; the last one begins it."""

_ERRORS = ("DqhError", "BadImageError")
"""Those that the parts raise."""

_PACKAGES = """try:
    {imports}
except ImportError as error:
    print(f"{{error.name}} is not installed; install it: pip install numpy pillow onnxruntime", file=sys.stderr)
    sys.exit(2)"""


def verify_script() -> bytes:
    """`verify_onnx.py`, which checks the form where neither torch nor this package is installed.

    It is the text of seven files of this package in one: the docstring of the last, the imports of all, the errors that
    they raise, the rest.
    """
    texts = [(_PACKAGE / name).read_text(encoding="utf-8") for name in _PARTS]
    names: defaultdict[str, set[str]] = defaultdict(set)  # module → what is taken from it, or the module itself
    bodies = _errors()
    for text in texts:
        imports = [
            statement for statement in ast.parse(text).body if isinstance(statement, ast.Import | ast.ImportFrom)
        ]
        for statement in imports:
            module = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
            names[module] |= {ast.unparse(name) for name in statement.names}
        bodies.append("\n".join(text.splitlines()[imports[-1].end_lineno :]).strip())
    lines = [f"import {name}" for name in sorted(names.pop(""))]
    lines += [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
    lines = [line for line in lines if _package(line) != "dqh"]
    guarded = _PACKAGES.format(imports="\n    ".join(line for line in lines if _is_extra(line)))
    own = "\n".join(line for line in lines if not _is_extra(line))
    docstring = texts[-1][: texts[-1].index('"""', 3) + 3]
    return "\n\n\n".join([f"{docstring}\n\n{own}\n\n{guarded}", *bodies, ""]).encode().rstrip() + b"\n"


def _errors() -> list[str]:
    """The text of the errors that the parts raise."""
    text = (_PACKAGE / "errors.py").read_text(encoding="utf-8")
    classes = [
        statement
        for statement in ast.parse(text).body
        if isinstance(statement, ast.ClassDef) and statement.name in _ERRORS
    ]
    return [ast.get_source_segment(text, definition) or "" for definition in classes]


def _package(line: str) -> str:
    return line.split()[1].partition(".")[0]


def _is_extra(line: str) -> bool:
    return _package(line) not in sys.stdlib_module_names


def onnx_model(artifact: Artifact) -> bytes:
    """The content of `encoder.onnx`; `encoder_id`, bits and kind of codes enter the metadata of the model.

    Raises:
        ArtifactError: the network is larger than an ONNX file can be, or torch cannot export it.
        DqhError: the extra `onnx` is not installed.
    """
    model = onnx_of(
        graph_of(artifact),
        example_of(artifact),
        inputs=[INPUT],
        outputs=OUTPUTS,
        error=ArtifactError,
        advice="export pt2 instead",
    )
    facts = {"encoder_id": artifact.encoder_id, "bits": artifact.quantizer.bits, "code_kind": artifact.quantizer.kind}
    for name, value in facts.items():
        model.metadata_props.add(key=name, value=str(value))
    return onnx_bytes(model)
