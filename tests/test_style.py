"""What the house style says of names, where a program can see it."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import dqh

ROOT = Path(dqh.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

WORDS = {"each", "found", "some", "made", "there", "apart"}
"""Pronouns and participles, which say nothing of what a variable holds."""

TWINS = {
    "aqd.py": "the index, and its way of searching",
    "coarse_to_fine.py": "re-ranking, its way and its order",
    "detector.py": "the protocol, and the verb that makes a folder of one",
    "faiss_form.py": "of an artifact, and of an index",
    "forms.py": "of an artifact, of an index, and of a feature in a study",
    "graph.py": "the part of an exported network that a quantizer adds, and the whole",
    "hamming.py": "the index, its way and its order",
    "lens.py": "the questions to an index, and the verb that asks them",
    "limits.py": "of scores, computed and in the report",
    "manifest.py": "of an artifact, and of an index",
    "publishing.py": "of an artifact's files, and of a version of an index",
    "rows.py": "of an evaluation, of the report's chart, and of an index",
    "schema.py": "what a value may be, and what the manifest of an index may say with it",
    "tables.py": "lookup tables of queries, and the order by them",
    "vectors.py": "the way of float vectors, and its order",
    "verify.py": "the check of a folder, and its verb",
}
"""Names that files of several packages share, as they hold the sides of one thing."""


@pytest.mark.parametrize("name", sorted({file.relative_to(ROOT).as_posix() for file in FILES}))
def test_variables_say_what_they_hold(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text())
    attributes = {id(name) for owner in ast.walk(tree) if isinstance(owner, ast.ClassDef) for name in fields(owner)}
    stored = [
        f"{node.id}, line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in WORDS
        if id(node) not in attributes
    ]
    arguments = [
        f"{node.arg}, line {node.lineno}" for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg in WORDS
    ]
    assert stored + arguments == []


def fields(owner: ast.ClassDef) -> list[ast.expr]:
    """The names of the fields of a class: `answers.found` says enough."""
    return [node.target for node in owner.body if isinstance(node, ast.AnnAssign)]


def test_files_of_one_name_hold_the_sides_of_one_thing() -> None:
    assert len(FILES) > 250
    packages = defaultdict(list)
    for file in FILES:
        packages[file.name].append(file.parent)
    shared = {name for name, places in packages.items() if len(places) > 1} - {"__init__.py"}
    assert shared == set(TWINS)
