"""Annotations as the kinds of configured values: does a value fit, what is wanted instead, and as which object."""

import types
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dqh.config.names import nearest, show

TARGET = "_target_"
_SCALARS: dict[Any, tuple[type, ...]] = {
    None: (types.NoneType,),
    types.NoneType: (types.NoneType,),
    bool: (bool,),
    int: (int,),
    float: (float, int),
    str: (str,),
    Path: (str, type(Path())),
}
_WORDS = {None: "null", types.NoneType: "null", bool: "true or false", Path: "a path", int: "int", float: "float"}
_LISTS = (list, Sequence, Iterable, Collection)
_MAPPINGS = (dict, Mapping, MutableMapping)


class Node:
    """As the kind of a top-level key: its value is a node. `Node | None` where null is allowed."""


def is_node(value: Any) -> bool:
    """Whether a value describes a constructor call."""
    return isinstance(value, Mapping) and TARGET in value


def fits(value: Any, kind: Any) -> bool:
    """Whether a configured value is of a kind; a kind that is not understood fits everything.

    An int is a float, a bool is neither, a text is no list; a node fits wherever an object can stand.
    """
    base, arguments = get_origin(kind) or kind, get_args(kind)
    if base is Annotated:
        return fits(value, arguments[0])
    if base in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if base is Literal:
        return any(value == argument and type(value) is type(argument) for argument in arguments)
    if base in _SCALARS and not (base is Path and is_node(value)):
        return type(value) in _SCALARS[base]
    if base is Node:
        return is_node(value)
    if base is tuple or base in _LISTS:
        return isinstance(value, list | tuple) and _all_fit(value, kind)
    if base in _MAPPINGS:
        return isinstance(value, Mapping) and (is_node(value) or _all_fit(value.values(), kind))
    return True


def wanted(kind: Any) -> str:
    """A kind in words, for a message.

    Example:
        >>> wanted(list[float] | Literal["auto", 1] | None)
        'a list of float, one of auto, 1 or null'
    """
    base, arguments = get_origin(kind) or kind, get_args(kind)
    if base is Annotated:
        return wanted(arguments[0])
    if base in (Union, types.UnionType):
        *others, last = [wanted(argument) for argument in arguments]
        return f"{', '.join(others)} or {last}"
    if base is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if base is Node:
        return f"a group of settings with {TARGET}"
    if base is tuple and arguments and arguments[-1] is not Ellipsis:
        return f"a list [{', '.join(wanted(argument) for argument in arguments)}]"
    if base is tuple or base in _LISTS:
        return f"a list of {wanted(arguments[0])}" if arguments else "a list"
    if base in _MAPPINGS:
        return f"a mapping of names to {wanted(arguments[1])}" if arguments else "a mapping"
    if base is Any:
        return "a value"
    return _WORDS.get(base) or str(getattr(base, "__name__", base))


def better(value: Any, kind: Any) -> str | None:
    """The value that was probably meant by one that does not fit, as it is written in a configuration, or None."""
    candidates: list[Any] = [nearest(value, filter(_is_text, _choices(kind)))] if isinstance(value, str) else []
    if isinstance(value, str | float):
        with suppress(ValueError, OverflowError):
            number = float(value)
            candidates += [int(number), number] if number == int(number) else [number]
    candidates.append([value])
    for candidate in candidates:
        if candidate is not None and fits(candidate, kind):
            return candidate if isinstance(candidate, str) else show(candidate)
    return None


def converted(value: Any, kind: Any, make: Callable[[Any, Any, str], Any], *, key: str) -> Any:
    """A value that fits `kind` as the object that a constructor annotated with it expects.

    `make` gives the object of an item from the item, its kind and its dotted key.

    Returns:
        A tuple, list or dict of objects where `value` is one, a path where the kind is one, else `value`.
    """
    base, arguments = get_origin(kind) or kind, get_args(kind)
    if base in (Annotated, Union, types.UnionType):
        options = arguments[:1] if base is Annotated else arguments
        chosen = next((option for option in options if fits(value, option)), Any)
        return converted(value, chosen, make, key=key)
    if isinstance(value, Mapping):
        return {
            name: make(item, item_kind, f"{key}.{name}")
            for (name, item), item_kind in zip(value.items(), _item_kinds(kind, len(value)), strict=True)
        }
    if isinstance(value, list | tuple):
        each_kind = enumerate(zip(value, _item_kinds(kind, len(value)), strict=True))
        items = [make(item, item_kind, f"{key}.{place}") for place, (item, item_kind) in each_kind]
        return tuple(items) if base is tuple else items
    return Path(value) if base is Path else value


def _all_fit(items: Collection[Any], kind: Any) -> bool:
    kinds = _item_kinds(kind, len(items))
    return len(kinds) == len(items) and all(map(fits, items, kinds))


def _item_kinds(kind: Any, length: int) -> Sequence[Any]:
    """The kinds of the items of a list or of the values of a mapping; their number is `length` unless fixed."""
    base, arguments = get_origin(kind) or kind, get_args(kind)
    if base is tuple and arguments and arguments[-1] is not Ellipsis:
        return arguments
    if base in _MAPPINGS:
        return [arguments[1] if arguments else Any] * length
    return [arguments[0] if arguments and (base is tuple or base in _LISTS) else Any] * length


def _choices(kind: Any) -> list[Any]:
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return list(arguments)
    return [choice for argument in arguments for choice in _choices(argument)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
