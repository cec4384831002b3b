"""Which changes of a module no test sees: each is made alone, and the tests that belong to the module are run.

    python benchmarks/mutations.py                    # all modules of TARGETS
    python benchmarks/mutations.py gallery            # one; results of each go to benchmarks/results/
    python benchmarks/mutations.py gallery --most 20  # a few changes, printed alone

A change is one of: a condition negated, a comparison replaced by its neighbour or its opposite, `and` and `or` swapped,
an arithmetic operator replaced, a number raised by 1, True and False swapped, the first two arguments of a call
swapped, a statement left out, a result replaced by None. Annotations, docstrings, decorators and the texts of errors
stay. A change is caught where a test fails, an import does, or the tests take longer than `LONGEST` seconds. Those
that change nothing that anybody could see are in EQUIVALENT, each with its reason.
"""

import argparse
import ast
import copy
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from quality import RESULTS, where

ROOT = Path(__file__).parent.parent
LONGEST = 120

TARGETS = {
    "module": ("dqh/training/module.py", ["tests/training/test_module.py"]),
    "checkpoints": ("dqh/training/checkpoints.py", ["tests/training/test_checkpoints.py"]),
    "gallery": ("dqh/evaluation/gallery.py", ["tests/evaluation/test_gallery.py"]),
}
"""Name → module, and the tests that belong to it."""

_LENGTHS = "the lengths are always equal"

EQUIVALENT: dict[str, str] = {
    "gallery: choose: 1 → 2 (3)": "numpy takes every negative size for the one that follows from the others",
    "gallery: gallery: True → False": _LENGTHS,
    "gallery: gallery: True → False (2)": _LENGTHS,
    "gallery: gallery: True → False (3)": _LENGTHS,
    "gallery: gallery: relevant(query, row) → relevant(row, query)": "relevance is symmetric",
    "module: HashModule.progress: max(1, self.steps) → max(self.steps, 1)": "the larger of two has no order",
}
"""Module and what a change is called → why nobody could tell."""

TESTS = {"__main__", "conftest", "tests"}
"""Modules that every process loads for itself."""

COMPARED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
UNTOUCHED = {"annotation", "returns", "decorator_list", "type_params"}


class Mutant(NamedTuple):
    """A changed module.

    Attributes:
        name: function, what stood there and what stands there now.
        line: of the change.
        whole: the module before.
        path: of what changes.
        node: what stands there now.
    """

    name: str
    line: int
    whole: ast.Module
    path: tuple[Any, ...]
    node: ast.AST

    @property
    def tree(self) -> ast.Module:
        """The changed module."""
        tree = copy.deepcopy(self.whole)
        _put(tree, self.path, self.node)
        return ast.fix_missing_locations(tree)


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of a module, one at a time; of one name the later ones have a number."""
    whole, seen = ast.parse(source), dict[str, int]()
    for path, function in _places(whole, (), "module"):
        for made in _changed(_at(whole, path)):
            old = _at(whole, path)
            name = f"{function}: {_text(old)} → {_text(made)}"
            seen[name] = seen.get(name, 0) + 1
            again = f" ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(name + again, old.lineno, whole, path, made)


def _places(node: Any, path: tuple[Any, ...], where: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Paths of all expressions and statements that may change, with the function that they are in."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = node.name if where == "module" else f"{where}.{node.name}"
    if isinstance(node, ast.expr | ast.stmt):
        yield path, where
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    for field, value in ast.iter_fields(node):
        if field in UNTOUCHED or (isinstance(node, ast.Raise) and field == "exc"):
            continue
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                yield from _places(child, (*path, (field, place if isinstance(value, list) else None)), where)


def _changed(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.expr):
        yield from _expressions(node)
    elif isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif _can_go(node):
        yield ast.Pass()


def _expressions(node: ast.expr) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Call) and len(node.args) >= 2 and not isinstance(node.args[1], ast.Starred):
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and node.generators[0].ifs:
        other = copy.deepcopy(node)
        other.generators[0].ifs[0] = ast.UnaryOp(ast.Not(), other.generators[0].ifs[0])
        yield other


def _can_go(node: ast.AST) -> bool:
    """Whether a statement can be left out without a name that is missing then."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant | ast.Yield)
    if isinstance(node, ast.Assign):
        return not all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
    return isinstance(node, ast.Raise | ast.AugAssign | ast.Continue | ast.Break)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for field, place in path:
        value = getattr(tree, field)
        tree = value if place is None else value[place]
    return tree


def _put(tree: Any, path: tuple[Any, ...], node: ast.AST) -> None:
    *before, (field, place) = path
    parent = _at(tree, tuple(before))
    if place is None:
        setattr(parent, field, copy.deepcopy(node))
    else:
        getattr(parent, field)[place] = copy.deepcopy(node)


def _text(node: ast.AST) -> str:
    """The first line of a node, shortened."""
    line = ast.unparse(node).splitlines()[0]
    return line if len(line) <= 90 else f"{line[:87]}…"


def passes(file: str, tree: ast.Module, tests: list[str], *, loaded: Path | None = None) -> bool:
    """Whether all tests pass with a module that is made of a tree; in a process of its own.

    The tree is executed in the module that is there, before the tests are imported. What other modules have taken from
    it stays as it was, so that tests which reach it through others catch less than they would.

    Args:
        file: of the module.
        tree: what it is made of.
        tests: files.
        loaded: gets the names of all modules that were needed.
    """
    gc.freeze()  # a collection would copy all memory into the child
    child = os.fork()
    if child == 0:
        gc.disable()
        os.setsid()
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        code = 1  # also where the module itself fails
        with suppress(BaseException):
            pytest, module = (importlib.import_module(name) for name in ("pytest", _name(file)))
            exec(compile(tree, ROOT / file, "exec"), vars(module))
            code = int(pytest.main(["-n0", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]))
            if loaded is not None:
                loaded.write_text("\n".join(name for name in sys.modules if name.partition(".")[0] not in TESTS))
        os._exit(code)
    ends = time.monotonic() + LONGEST
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def load(names: list[str]) -> None:
    """Import modules, so that no later process has to."""
    for name in names:
        with suppress(Exception):  # made by others, or for one process alone
            importlib.import_module(name)


def _name(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def measured(name: str, *, most: int | None = None) -> dict[str, Any]:
    """How many changes of a module are caught, and which are not."""
    file, tests = TARGETS[name]
    source = (ROOT / file).read_text()
    with tempfile.TemporaryDirectory() as folder:
        if not passes(file, ast.parse(source), tests, loaded=Path(folder, "loaded")):
            raise SystemExit(f"the tests of {file} fail without a change: pytest {' '.join(tests)}")
        load(Path(folder, "loaded").read_text().splitlines())
    begun, all_of_them, survivors, equivalent = time.perf_counter(), list(mutants(source))[:most], [], []
    for number, mutant in enumerate(all_of_them, 1):
        if not passes(file, mutant.tree, tests):
            continue
        reason = EQUIVALENT.get(f"{name}: {mutant.name}")
        (survivors if reason is None else equivalent).append(
            {"line": mutant.line, "change": mutant.name} | ({} if reason is None else {"reason": reason})
        )
        print(
            f"{number} of {len(all_of_them)}, {file}:{mutant.line}: {mutant.name}: {reason or 'not caught'}", flush=True
        )
    return {
        "module": file,
        "tests": tests,
        "mutants": len(all_of_them),
        "killed": len(all_of_them) - len(survivors) - len(equivalent),
        "equivalent": equivalent,
        "survivors": survivors,
        "seconds": round(time.perf_counter() - begun),
    }


def page(parts: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "# Changes that tests catch",
        "",
        "`python benchmarks/mutations.py`, whose text says what a change is.",
        "",
    ]
    lines += ["| module | changes | caught | equivalent | not caught | seconds |", "|---|---|---|---|---|---|"]
    for part in parts:
        numbers = (part["mutants"], part["killed"], len(part["equivalent"]), len(part["survivors"]), part["seconds"])
        lines.append(f"| `{part['module']}` | {' | '.join(map(str, numbers))} |")
    for part in parts:
        lines += ["", f"## `{part['module']}`", "", f"{where(part['environment'])}. Tests: {', '.join(part['tests'])}."]
        for title, kind in (("Not caught", "survivors"), ("Equivalent", "equivalent")):
            lines += ["", f"{title}: {len(part[kind])}.", ""]
            lines += [
                f"- line {row['line']}, `{row['change']}`{': ' + row['reason'] if 'reason' in row else ''}"
                for row in part[kind]
            ]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def keep(part: dict[str, Any]) -> None:
    """Put what was found of a module in the place of what was known of it."""
    file = RESULTS / "mutations.json"
    known = json.loads(file.read_text()) if file.exists() else []
    parts = [*(other for other in known if other["module"] != part["module"]), part]
    parts.sort(key=lambda other: other["module"])
    file.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "mutations.md").write_text(page(parts))


def main() -> None:
    """Measure and keep what is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; all")
    parser.add_argument("--most", type=int, help="changes of a module; results are not kept")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    if sys.dont_write_bytecode:  # as in conftest.py
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(ROOT / ".pytest_cache" / "bytecode")
    for name in given.names or TARGETS:
        part = measured(name, most=given.most)
        print(f"{part['module']}: {part['killed']} of {part['mutants']} caught, {len(part['equivalent'])} equivalent")
        if given.most is None:
            from dqh.environment import environment

            part["environment"] = environment(command=f"python benchmarks/mutations.py {name}", seed=0)
            keep(part)


if __name__ == "__main__":
    main()
