"""Ways of searching, one a file: by Hamming distance, AQD, SQD, float vectors, and coarse-to-fine.

A module of this folder lists its ways as `WAYS`, and says of each what it fits; evaluations, studies, validation in
training, the index on disk and the library ask here, so that a new way is one file.
"""

from importlib import import_module
from pkgutil import iter_modules

from dqh.index.ways.way import READS, Candidates, CodeWay, Searcher, Way
from dqh.quantizers.quantizer import Coder

__all__ = ["WAYS", "Candidates", "CodeWay", "Searcher", "Way", "main_way", "way_by_codes", "ways_by_codes", "ways_of"]


def _listed() -> dict[str, Way]:
    """What the modules of this folder list."""
    listed: dict[str, Way] = {}
    for module in iter_modules(__path__):
        for way in getattr(import_module(f"{__name__}.{module.name}"), "WAYS", ()):
            if way.name in listed:
                raise ValueError(f"{module.name}.py: there is a way {way.name!r} already; give this one another name")
            listed[way.name] = way
    return listed


WAYS: dict[str, Way] = _listed()
"""All ways by name."""


def ways_of(quantizer: Coder | None) -> tuple[Way, ...]:
    """The ways of searching what a quantizer made, None for vectors alone; the first, by its codes, is the main one."""
    fitting = [way for way in WAYS.values() if way.fits(quantizer)]
    return tuple(sorted(fitting, key=lambda way: (not _leads(way, quantizer), READS.index(way.reads))))


def main_way(quantizer: Coder) -> CodeWay:
    """How codes of a quantizer are searched where nothing else is asked for.

    Raises:
        ValueError: not one way by codes leads, but several or none.
    """
    leading = [way for way in ways_by_codes(quantizer) if way.leads(quantizer)]
    if len(leading) != 1:
        names = ", ".join(way.name for way in leading) or "none"
        raise ValueError(f"one way must lead where codes are searched by {quantizer.distance}, got {names}")
    return leading[0]


def ways_by_codes(quantizer: Coder) -> tuple[CodeWay, ...]:
    """The ways of searching codes of a quantizer alone, the main one first."""
    return tuple(way for way in ways_of(quantizer) if isinstance(way, CodeWay))


def way_by_codes(quantizer: Coder, name: str | None = None) -> CodeWay:
    """The way of a name by which codes of a quantizer are searched alone; the main one for None.

    Raises:
        ValueError: no such way for these codes.
    """
    if name is None:
        return main_way(quantizer)
    fitting = {way.name: way for way in ways_by_codes(quantizer)}
    if name not in fitting:
        raise ValueError(f"way must be one of {', '.join(fitting)} for these codes, got {name!r}")
    return fitting[name]


def _leads(way: Way, quantizer: Coder | None) -> bool:
    return quantizer is not None and way.leads(quantizer)
