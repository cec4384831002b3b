"""Names of a package that are loaded when they are first used: some need torch, which takes seconds."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, modules: Mapping[str, str], names: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        modules: name → the module of the package that has it, of another name, as a module takes its own when it loads.
        names: what the package offers, these names among it.
    """
    offered = sorted({*names})
    assert not any(name == module for name, module in modules.items())

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return find, lambda: list(offered)
