"""Nodes of a configuration against the signatures of their constructors, and the objects that they describe.

`check` and `build` import and call what a configuration names: give them only what the user wrote, never a
configuration out of a file that someone else made.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, cast

from dqh import remote
from dqh.config.kinds import TARGET, better, converted, fits, is_node, wanted
from dqh.config.names import flatten, hint, nearest, show
from dqh.config.signatures import signature_in_file
from dqh.errors import ConfigError, DqhError
from dqh.urls import not_local

_MISSING = "???"
_NOTHING: Mapping[str, Collection[str]] = MappingProxyType({})


def check(
    config: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    supplied: Mapping[str, Collection[str]] = _NOTHING,
    imports: bool = True,
) -> list[str]:
    """All problems of a composed, resolved configuration, one line each; nothing is constructed.

    Args:
        config: the configuration; `???` marks a value that the user must give.
        fields: the kind of every top-level key: `Node`, or an annotation such as `int` or `Literal["cpu", "cuda"]`.
            A kind that is not understood fits every value.
        supplied: for a node, by its key, the arguments that the caller of `build` will give.
        imports: whether the constructors are imported; else their source files are read, and what these do not say
            fits.

    Returns:
        Lines of the form `key: value got, value wanted; next step`, in the order of `config`. A value that is wrong
        at the top level is not reported again where a node repeats it.
    """
    known = [*fields, *(key for key in flatten(config) if key.partition(".")[0] in fields)]
    problems = []
    for key, value in config.items():
        if key in fields:
            problems += value_problems(value, fields[key], key, supplied=supplied, imports=imports)
        else:
            problems.append(f"{key}: no such key{hint(key, known, listed=list(fields))}")
    problems += [f"{key}: missing, wanted {wanted(fields[key])}" for key in fields if key not in config]
    return distinct(problems)


def build(config: Mapping[str, Any], key: str, /, **supplied: Any) -> Any:
    """The object that the node `config[key]` describes, nested nodes first; None where the node is null.

    Lists become tuples and texts become paths where the constructor's annotation says so.

    Args:
        config: a configuration, or one of its parts.
        key: the node's key, at the top level of `config`.
        supplied: arguments of the constructor that no configuration can hold, such as other objects.

    Raises:
        ConfigError: the target cannot be imported, or its constructor raised ValueError or TypeError.
        DqhError: as the constructor raised it. Texts begin with the node's key; every other exception passes through.
    """
    node = config[key]
    return None if node is None else _construct(node, key, supplied)


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of every constructor written out, as a record of what a run used.

    Defaults that are neither text, number, bool, None nor a sequence of these are left out.
    """
    full = {key: completed(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    return _filled(full, config[TARGET]) if is_node(config) else full


def with_later_defaults(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an earlier version with the defaults of those arguments that its constructors have got since.

    Args:
        before: as `completed` left it then. It may be out of a file that someone else made: no path in it is imported.
        now: a configuration, whose nodes say which constructors are asked.

    Returns:
        `before`, completed where both have a node of the same constructor.
    """
    full = dict(before)
    for key, value in before.items():
        own = now.get(key)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            full[key] = with_later_defaults(value, own)
    return _filled(full, now[TARGET]) if is_node(now) and before.get(TARGET) == now[TARGET] else full


def _filled(node: Mapping[str, Any], target: Any) -> dict[str, Any]:
    """A node with the defaults of its constructor for what it does not say."""
    full = dict(node)
    parameters, _ = _parameters(_locate(target))
    for name, parameter in parameters.items():
        default = parameter.default
        plain = all(isinstance(item, str | int | float | None) for item in _items(default))
        if name not in full and default is not inspect.Parameter.empty and plain:
            full[name] = list(default) if isinstance(default, tuple | list) else default
    return full


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


def value_problems(
    value: Any, kind: Any, key: str, *, supplied: Mapping[str, Collection[str]] = _NOTHING, imports: bool = True
) -> list[str]:
    """The problems of one value or node; arguments as of `check`."""
    if value == _MISSING:
        return [f"{key}: no value given, wanted {wanted(kind)}; write {key}=VALUE"]
    if isinstance(value, str) and remote.is_no_setting(value):  # no value is read from there, nor written
        return [f"{key}: {not_local(value)}"]
    nested: list[str] = []
    if is_node(value):
        nested = _node_problems(value, key, supplied=supplied, imports=imports)
    elif isinstance(value, Mapping | list | tuple):  # of the items, only nodes and missing values are found here
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, item in items:
            nested += value_problems(item, Any, f"{key}.{name}", supplied=supplied, imports=imports)
    if nested or fits(value, kind):
        return nested
    meant = better(value, kind)
    suggestion = f"; did you mean {key}={meant}?" if meant is not None else ""
    return [f"{key}: got {show(value)}, wanted {wanted(kind)}{suggestion}"]


def distinct(lines: Iterable[str]) -> list[str]:
    """The lines without repetitions, and without those that repeat a top-level key's problem inside a node."""
    unique = dict.fromkeys(lines)

    def is_echo(line: str) -> bool:
        dotted = line.partition(":")[0]
        return line.replace(dotted, dotted.rpartition(".")[2]) in unique

    return [line for line in unique if "." not in line.partition(":")[0] or not is_echo(line)]


def prefixed(error: Exception, key: str) -> DqhError:
    """A constructor's error as one about the node `key`; errors of this package keep their class."""
    start = f"{key}: " if key else ""
    if isinstance(error, ConfigError):
        return ConfigError([start + problem for problem in error.problems])
    if isinstance(error, DqhError):
        error.args = (f"{start}{error}",)
        return error
    return ConfigError(f"{start}{str(error) or type(error).__name__}")


def _node_problems(
    node: Mapping[str, Any], key: str, *, supplied: Mapping[str, Collection[str]], imports: bool
) -> list[str]:
    path, given = node[TARGET], supplied.get(key, ())
    try:
        parameters, open_ended = _parameters(_locate(path)) if imports else _parameters_in_file(path)
    except ConfigError as error:
        return [f"{key}.{TARGET}: {error}"]
    valid = [name for name in parameters if name not in given]
    problems = []
    for name, value in node.items():
        dotted = f"{key}.{name}"
        if name == TARGET:
            continue
        if name in given:
            problems.append(f"{dotted}: got {show(value)}, but the program sets it itself; remove it")
        elif name in parameters or open_ended:
            kind = parameters[name].annotation if name in parameters else Any
            problems += value_problems(value, kind, dotted, supplied=supplied, imports=imports)
        else:
            problems.append(f"{dotted}: no such key of {path}{hint(name, valid, listed=valid, prefix=f'{key}.')}")
    for name in valid:
        if name not in node and parameters[name].default is inspect.Parameter.empty:
            kind = wanted(parameters[name].annotation)
            problems.append(f"{key}.{name}: missing, {path} wants {kind}; write +{key}.{name}=VALUE")
    return problems


def _construct(node: Mapping[str, Any], key: str, supplied: Mapping[str, Any]) -> Any:
    try:
        target = _locate(node[TARGET])
    except ConfigError as error:
        raise prefixed(error, f"{key}.{TARGET}") from error
    parameters, _ = _parameters(target)

    def make(value: Any, kind: Any, dotted: str) -> Any:
        if is_node(value):
            return _construct(value, dotted, {})
        return converted(value, kind, make, key=dotted)

    arguments = {}
    for name, value in node.items():
        if name != TARGET:
            kind = parameters[name].annotation if name in parameters else Any
            arguments[name] = make(value, kind, f"{key}.{name}")
    try:
        return target(**arguments, **supplied)
    except (DqhError, ValueError, TypeError) as error:
        raise prefixed(error, key) from error


def _locate(path: Any) -> Callable[..., Any]:
    """The constructor at a dotted path; ConfigError where there is none."""
    parts = path.split(".") if isinstance(path, str) else []
    if not parts or not all(parts):
        raise ConfigError(f"got {show(path)}, wanted the dotted path of a constructor")
    target: Any = None
    for place, part in enumerate(parts):
        name = ".".join(parts[: place + 1])
        if target is not None and hasattr(target, part):
            target = getattr(target, part)
        elif target is None or isinstance(target, ModuleType):
            try:
                target = importlib.import_module(name)
            except ImportError as error:
                if not isinstance(error, ModuleNotFoundError) or error.name != name:  # raised inside the module
                    raise ConfigError(f"{name} cannot be imported: {error}") from error
                raise ConfigError(_not_found(parts, place, target)) from error
        else:
            raise ConfigError(_not_found(parts, place, target))
    if not callable(target):
        raise ConfigError(f"{path} is no constructor, but {show(target)}")
    return cast(Callable[..., Any], target)


def _not_found(parts: list[str], place: int, owner: Any) -> str:
    """The message for a part of a dotted path that `found`, what the parts before it name, does not have."""
    members = [name for name in dir(owner) if not name.startswith("_")] if owner is not None else ["dqh"]
    members += [module.name for module in pkgutil.iter_modules(getattr(owner, "__path__", []))]
    near = nearest(parts[place], members)
    path = ".".join([*parts[:place], str(near), *parts[place + 1 :]])
    where = f"in {'.'.join(parts[:place])}" if place else "installed"
    return f"no {parts[place]} {where}{f'; did you mean {path}?' if near else ''}"


def _parameters_in_file(path: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    parameters = signature_in_file(path)
    return ({}, True) if parameters is None else (parameters, False)


def _parameters(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """The arguments of a constructor that a keyword can set, and whether it takes any other keyword."""
    try:
        signature = inspect.signature(target, eval_str=True)
    except (NameError, AttributeError, TypeError):  # an annotation that only a type checker can resolve
        signature = inspect.signature(target)
    except ValueError:  # compiled, without a signature
        return {}, True
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = signature.parameters
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    return {
        name: parameter.replace(annotation=Any) if parameter.annotation is inspect.Parameter.empty else parameter
        for name, parameter in parameters.items()
        if parameter.kind in named
    }, open_ended
