"""How a detector is run: what enters the network, and what is made of its output.

A network with an input of h × w pixels, C classes, K objects of a photo at most.
"""

from typing import Any, NamedTuple

from dqh.config.names import hint
from dqh.detection.class_names import LONGEST, MOST
from dqh.detection.decoders import DECODERS, Settings
from dqh.errors import ConfigError
from dqh.schema import Check, integer, number, one_of, record, sequence, text

LARGEST_SIDE = 4096
"""Pixels; a float input of this height and width takes 200 MB."""

MOST_OBJECTS = 1000
"""Largest K."""

FIELDS: dict[str, Check] = {
    "decoder": one_of(*DECODERS),
    "height": integer(1, LARGEST_SIDE),
    "width": integer(1, LARGEST_SIDE),
    "classes": sequence(text(rf".{{1,{LONGEST}}}", f"a name of 1 to {LONGEST} letters"), least=1, different=True),
    "colour": one_of("BGR", "RGB"),
    "largest": one_of(255.0, 1.0),
    "padding": integer(0, 255),
    "threshold": number(0, 1),
    "iou": number(0, 1),
    "most": integer(1, MOST_OBJECTS),
}
"""What each field must be, as JSON has it."""


class DetectorSpec(NamedTuple):
    """What enters a network and what is made of its output.

    Attributes:
        decoder: name of what reads the output.
        height: h, of the input, pixels.
        width: w, of the input, pixels.
        classes: C names, in the order of the output.
        settings: the rest.
    """

    decoder: str
    height: int
    width: int
    classes: tuple[str, ...]
    settings: Settings

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values, those of `FIELDS`; `spec_of` is the inverse."""
        own = {"decoder": self.decoder, "height": self.height, "width": self.width, "classes": list(self.classes)}
        return own | self.settings._asdict()


def require_decoder(name: str) -> None:
    """Raise `ConfigError`, with the nearest name, where there is no decoder of a name."""
    if name not in DECODERS:
        raise ConfigError(f"decoder: there is none of the name {name!r}{hint(name, DECODERS, listed=[*DECODERS])}")


def problems_of(values: dict[str, Any]) -> list[str]:
    """What is wrong with a spec as JSON has it, a line a problem."""
    problems = record(FIELDS)(values, "")
    if not problems and len(values["classes"]) > MOST:
        problems.append(f"classes must be at most {MOST:,} names, got {len(values['classes']):,}")
    if not problems and (problem := DECODERS[values["decoder"]].size_problem(values["height"], values["width"])):
        problems.append(problem)
    return problems


def spec_of(values: dict[str, Any]) -> DetectorSpec:
    """The spec of what `DetectorSpec.to_json` gives, in which `problems_of` sees none."""
    settings = Settings(**{name: values[name] for name in Settings._fields})
    return DetectorSpec(values["decoder"], values["height"], values["width"], tuple(values["classes"]), settings)


def with_threshold(spec: DetectorSpec, threshold: float | None) -> DetectorSpec:
    """The spec with another threshold; the same for None.

    Raises:
        ConfigError: it is no number in 0 … 1.
    """
    if threshold is None:
        return spec
    changed = spec._replace(settings=spec.settings._replace(threshold=float(threshold)))
    if problems := problems_of(changed.to_json()):
        raise ConfigError(problems)
    return changed
