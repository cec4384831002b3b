"""What a kind of code means is said in `dqh.quantizers`: nobody else asks which kind a quantizer is of."""

import ast
import inspect
from pathlib import Path

import dqh
from dqh import quantizers
from dqh.quantizers import QUANTIZERS

ROOT = Path(dqh.__file__).parent
KINDS = {name for name, value in vars(quantizers).items() if inspect.isclass(value) and hasattr(value, "encode")}
ALLOWED = {
    "evaluation/references.py": 1,  # the embedding of a class index is class scores, whoever made it
    "export/verify_onnx.py": 4,  # a program for machines without this package, with the rules of all kinds in it
}


def asks(node: ast.AST) -> bool:
    """`isinstance(…, ProductQuantizer)` and the like, `… .kind == ClassIndex.kind`, `kind == "pq"`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass"):
        return any(isinstance(name, ast.Name) and name.id in KINDS for name in ast.walk(node.args[1]))
    if not isinstance(node, ast.Compare):
        return False
    sides = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
    of_a_class = any(
        isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in KINDS
        for part in sides
    )
    named = any(isinstance(part, ast.Constant) and part.value in QUANTIZERS for part in (node.left, *node.comparators))
    return of_a_class or named


def test_few_places_ask_for_a_kind() -> None:
    places = {}
    for file in sorted(ROOT.rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        count = sum(map(asks, ast.walk(ast.parse(file.read_text()))))
        if count and not name.startswith("quantizers/"):
            places[name] = count
    assert {"ProductQuantizer", "Threshold", "ClassIndex"} <= KINDS
    assert places == ALLOWED
    assert sum(places.values()) <= 5
