"""Names of a package that are loaded when they are first used: some need torch, which takes seconds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(
    package: str, modules: Mapping[str, Sequence[str]], names: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        modules: module of the package → the names that it has, none its own, as a module takes that when it loads.
        names: what the package offers, these names among it.
    """
    offered = sorted({*names})
    module_of = {name: module for module, held in modules.items() for name in held}
    assert module_of.keys().isdisjoint(modules)

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    return find, lambda: list(offered)
