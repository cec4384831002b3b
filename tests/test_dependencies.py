"""What is imported is declared: nothing may be there only because something else needs it today."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IMPORTERS = {"import_module", "importorskip"}
LATE = ("dqh/native/device/triton_kernels.py", "dqh/service/")  # imported only where what they need is installed
OURS = {"dqh", "train", "evaluate", "tests", "benchmarks", "shop"}  # the last is a module that a test makes


def names(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", text)[0]).lower() for text in requirements}


NEEDED = names(PROJECT["project"]["dependencies"])
OPTIONAL = NEEDED.union(*map(names, PROJECT["project"]["optional-dependencies"].values()))
DEVELOPED = OPTIONAL | names(PROJECT["dependency-groups"]["dev"])


def modules(node: ast.AST, *, late: bool = False) -> Iterator[tuple[str, bool]]:
    """Top-level module of every import below a node, and whether it happens in a function or for a type checker."""
    for child in ast.iter_child_nodes(node):
        inner = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inner |= isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if isinstance(child, ast.Import):
            yield from ((alias.name.partition(".")[0], inner) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            yield (child.module or "").partition(".")[0], inner
        elif isinstance(child, ast.Call) and ast.unparse(child.func).rpartition(".")[2] in IMPORTERS:
            named = (argument.value for argument in child.args[:1] if isinstance(argument, ast.Constant))
            yield from ((str(name).partition(".")[0], True) for name in named)
        yield from modules(child, late=inner)


def undeclared(files: Iterator[Path] | list[Path], *, early: set[str], late: set[str]) -> list[str]:
    """`file: module` for each import that no declared distribution gives."""
    given, wrong, count = packages_distributions(), [], 0
    for file in files:
        beside = {path.stem for path in file.parent.iterdir()}
        for module, is_late in modules(ast.parse(file.read_text(encoding="utf-8"))):
            if module in sys.stdlib_module_names or module in OURS | beside:
                continue
            count += 1
            allowed = late if is_late or file.relative_to(ROOT).as_posix().startswith(LATE) else early
            if names(given.get(module, [module])).isdisjoint(allowed):
                wrong.append(f"{file.relative_to(ROOT)}: {module}")
    assert count > 10
    return wrong


def test_the_package_and_its_scripts_import_what_is_declared() -> None:
    """At the top of a module what everybody has, in functions what an extra may bring."""
    files = [*(ROOT / "dqh").rglob("*.py"), ROOT / "train.py", ROOT / "evaluate.py"]
    assert undeclared(files, early=NEEDED, late=OPTIONAL) == []


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_tests_and_benchmarks_import_what_a_developer_has(folder: str) -> None:
    assert undeclared([*(ROOT / folder).rglob("*.py")], early=DEVELOPED, late=DEVELOPED) == []


def test_an_import_is_seen_wherever_it_stands() -> None:
    text = (
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\n"
        "def f():\n    import g\n    import_module('h.i')\n    importlib.import_module('j', x)\nfrom . import k\n"
    )
    found = set(modules(ast.parse(text)))
    assert found == {("a", False), ("c", False), ("e", True), ("g", True), ("h", True), ("j", True)}
