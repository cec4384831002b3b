"""The arguments of constructors as their source files say them, without importing these, as torch takes seconds.

Not everything can be read so. What a file does not say plainly fits every value, until the constructor is imported.
"""

import ast
import builtins
import math
import typing
from collections import abc
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from inspect import Parameter
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

Parameters = dict[str, Parameter]

_NAMES: Mapping[str, Any] = (
    vars(builtins)
    | {name: getattr(typing, name) for name in ("Any", "Annotated", "Literal", "Optional", "Union")}
    | {name: getattr(abc, name) for name in abc.__all__}
    | {"Path": Path, "math": math}
)


def signature_in_file(path: Any) -> Parameters | None:
    """The arguments of the class or function at a dotted path that a keyword can set.

    Args:
        path: such as `dqh.models.SmallResNet`.

    Returns:
        Their kinds and defaults (an ellipsis for one that is no literal); None where the files do not say it.
    """
    place = _defined_at(path) if isinstance(path, str) else None
    return None if place is None else _parameters(place)


class _Place(NamedTuple):
    """A definition, and the module that it is in."""

    module: "_Module"
    node: ast.AST


class _Module(NamedTuple):
    name: str
    nodes: Mapping[str, ast.AST]


@cache
def _module(name: str) -> _Module | None:
    """The definitions and imports of a module by their names; None where there is no such source file."""
    top, *rest = name.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin)
    if rest:
        file = file.parent.joinpath(*rest)
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    if file.suffix != ".py" or not file.is_file():
        return None
    tree = ast.parse(file.read_bytes())
    return _Module(name, dict(_named([statement for node in tree.body for statement in _opened(node)])))


def _opened(node: ast.stmt) -> list[ast.stmt]:
    """A statement, or those of an `if TYPE_CHECKING`."""
    return node.body if isinstance(node, ast.If) else [node]


def _named(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, node) for alias in node.names)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _defined_at(path: str) -> _Place | None:
    """Where a dotted path leads, through imports."""
    parent, _, name = path.rpartition(".")
    module = _module(parent) if parent else None
    return None if module is None else _followed(module, name)


def _followed(module: _Module, name: str) -> _Place | None:
    node = module.nodes.get(name)
    if not isinstance(node, ast.ImportFrom):
        return None if node is None else _Place(module, node)
    original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
    return _defined_at(f"{node.module}.{original}") if node.level == 0 else None


def _parameters(place: _Place) -> Parameters | None:
    node = place.node
    if isinstance(node, ast.FunctionDef):
        return _of_function(place.module, node.args, bound=False)
    if not isinstance(node, ast.ClassDef):
        return None
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _of_function(place.module, statement.args, bound=True)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return None if node.bases else _of_fields(place.module, node)
    for base in node.bases:
        inherited = _followed(place.module, base.id) if isinstance(base, ast.Name) else None
        if inherited is not None and (parameters := _parameters(inherited)) is not None:
            return parameters
    return None


def _of_function(module: _Module, arguments: ast.arguments, *, bound: bool) -> Parameters | None:
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        return None
    places = arguments.args
    defaults = [None] * (len(places) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = chain(
        zip(places[bound:], defaults[bound:], strict=True),
        zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    )
    return {argument.arg: _parameter(module, argument.arg, argument.annotation, default) for argument, default in pairs}


def _of_fields(module: _Module, node: ast.ClassDef) -> Parameters:
    fields = [
        statement
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    named = [(field.target.id, field) for field in fields if isinstance(field.target, ast.Name)]
    return {name: _parameter(module, name, field.annotation, field.value) for name, field in named if name != "_"}


def _parameter(module: _Module, name: str, annotation: ast.expr | None, default: ast.expr | None) -> Parameter:
    kind = Any if annotation is None else _value(module, annotation)
    given = Parameter.empty if default is None else _literal(default)
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=given)


def _literal(default: ast.expr) -> Any:
    try:
        return ast.literal_eval(default)
    except ValueError:
        return ...


class _Scope(dict[str, Any]):
    """The names that an annotation may use: aliases of its module, or of modules that it imports them from."""

    def __init__(self, module: _Module) -> None:
        super().__init__(_NAMES)
        self._module = module

    def __missing__(self, name: str) -> Any:
        place = _followed(self._module, name)
        if place is None or not isinstance(place.node, ast.expr):
            raise KeyError(name)
        return _evaluated(place.module, place.node)


def _value(module: _Module, annotation: ast.expr) -> Any:
    """The kind that an annotation names; Any where that takes an import."""
    try:
        return _evaluated(module, annotation)
    except (NameError, KeyError, TypeError, AttributeError, ValueError, SyntaxError):
        return Any


def _evaluated(module: _Module, node: ast.expr) -> Any:
    expression = ast.Expression(node) if not isinstance(node, ast.Constant) else ast.Expression(_unquoted(node))
    code = compile(ast.fix_missing_locations(expression), module.name, "eval")
    return eval(code, {"__builtins__": {}}, _Scope(module))


def _unquoted(node: ast.Constant) -> ast.expr:
    return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node


def derives_in_file(path: Any, base: str) -> bool:
    """Whether the class at a dotted path has a base class of a name, itself or by way of others, as its files say.

    Args:
        path: such as `dqh.methods.dlbhc.DLBHC`; whatever else a configuration may hold derives from nothing.
        base: the name of the class, without its module.
    """
    place = _defined_at(path) if isinstance(path, str) else None
    return place is not None and _derives(place, base)


def _derives(place: _Place, base: str) -> bool:
    if not isinstance(place.node, ast.ClassDef):
        return False
    names = [parent.id for parent in place.node.bases if isinstance(parent, ast.Name)]
    above = (_followed(place.module, name) for name in names)
    return base in names or any(_derives(parent, base) for parent in above if parent is not None)
