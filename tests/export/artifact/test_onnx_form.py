"""The ONNX form: parity with torch on batches that were not used for export, and what its file says."""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from dqh.artifact import load_artifact
from dqh.artifact.answers import Answers
from dqh.artifact.golden import eager, parity
from dqh.encoding.onnx_session import INPUT
from dqh.export.artifact.graph import OUTPUTS
from dqh.export.artifact.onnx_form import verify_script
from tests.artifact.conftest import KINDS, ROOT, inputs_of


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_torch(kind: str, formed: Callable[[str], Path]) -> None:
    """Convolutions add in another order: embedding and features to 1e-5 of their largest, codes by the rule."""
    artifact = load_artifact(formed(kind))
    session = onnxruntime.InferenceSession(formed(kind) / "encoder.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 7, 64):
        inputs = inputs_of(artifact, count, seed=count)
        found = Answers(*session.run(list(OUTPUTS), {INPUT: inputs}))
        wanted = eager(artifact.encoder, artifact.quantizer, inputs)
        assert (found.codes.dtype, found.codes.shape) == (np.uint8, wanted.codes.shape)
        assert parity(wanted.codes, found, artifact.quantizer)[0] == 0
        for name in ("embedding", "features"):
            own = getattr(wanted, name)
            assert np.abs(getattr(found, name) - own).max() <= 1e-5 * np.abs(own).max()
    assert len(np.unique(wanted.codes, axis=0)) > 5


def test_the_file_names_its_encoder_and_no_place_on_this_machine(formed: Callable[[str], Path]) -> None:
    content = (formed("binary") / "encoder.onnx").read_bytes()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {each.key: each.value for each in model.metadata_props} == {
        "encoder_id": load_artifact(formed("binary")).encoder_id,
        "bits": "12",
        "code_kind": "binary",
    }
    (given,) = model.graph.input
    assert [each.dim_param or each.dim_value for each in given.type.tensor_type.shape.dim] == ["batch", 3, 16, 16]
    for each in (str(ROOT), "site-packages", "stack_trace"):
        assert each.encode() not in content


PARTS = (
    *("encoding/process.py", "encoding/onnx_session.py", "export/plain_reading.py", "export/verify_onnx.py"),
    *("sealed.py", "data/caps.py", "data/pixels.py"),
)


def names_of(defined: ast.FunctionDef | ast.ClassDef | ast.Assign) -> list[str]:
    if not isinstance(defined, ast.Assign):
        return [defined.name]
    return [each.id for each in ast.walk(defined.targets[0]) if isinstance(each, ast.Name)]


def test_the_script_stands_alone_and_holds_the_text_of_its_parts() -> None:
    script = verify_script().decode()
    assert script.startswith('"""Checks the ONNX form beside this file')
    assert "from dqh" not in script
    assert "import dqh" not in script
    defined: list[str] = []
    taken: set[str] = set()
    for name in PARTS:
        text = (ROOT / "dqh" / name).read_text()
        for each in ast.parse(text).body:
            if isinstance(each, ast.FunctionDef | ast.ClassDef | ast.Assign):
                assert (ast.get_source_segment(text, each) or "") in script
                defined += names_of(each)
            if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("dqh"):
                taken |= {name.name for name in each.names}
    assert len(defined) == len(set(defined)) > 30, "one name of two parts would be the last one's in both"
    classes = [each.name for each in ast.parse(script).body if isinstance(each, ast.ClassDef)]
    assert "BadImageError" in taken <= {*defined, *classes}


@pytest.mark.parametrize(
    "name",
    [
        *("encoding/process", "encoding/onnx_session"),
        *("export/artifact/faiss_session", "export/artifact/program_session"),
    ],
)
def test_what_runs_in_a_process_imports_nothing_of_this_package(name: str) -> None:
    body = ast.walk(ast.parse((ROOT / "dqh" / f"{name}.py").read_text()))
    modules = [each.module or "" for each in body if isinstance(each, ast.ImportFrom)]
    assert modules
    assert not [each for each in modules if each.startswith("dqh")]
