"""Decoders, one a file: how the output of one family of detectors becomes boxes.

A module of this folder names its decoder as `DECODER`; a new family is one file.
"""

from importlib import import_module
from pkgutil import iter_modules

from dqh.detection.decoders.decoder import Decoder, Settings

__all__ = ["DECODERS", "Decoder", "Settings"]


def _listed() -> dict[str, Decoder]:
    """What the modules of this folder name."""
    listed: dict[str, Decoder] = {}
    for module in iter_modules(__path__):
        decoder: Decoder | None = getattr(import_module(f"{__name__}.{module.name}"), "DECODER", None)
        if decoder is None:
            continue
        if decoder.name in listed:
            raise ValueError(f"{module.name}.py: there is a decoder {decoder.name!r} already; give it another name")
        listed[decoder.name] = decoder
    return listed


DECODERS: dict[str, Decoder] = _listed()
"""All decoders by name."""
