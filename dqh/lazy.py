"""Packages, and names of a package, that are loaded when first used: torch takes seconds, faiss some tenths."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["faiss", "lazily"]


class _Late:
    """A module that is loaded by the first use of one of its names."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


if TYPE_CHECKING:
    import faiss
else:
    faiss = _Late("faiss")


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
