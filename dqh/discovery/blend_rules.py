"""Which sources are asked about a photo, and how much of the answer is of each: a table in yaml that people can read.

    dominant: {score: 0.5, area: 0.1, lead: 2}   # when an object counts as the one that a photo is about
    sources:
      image_search:
        weight: 1                                # against those of the other sources
        asked: {annotation: ">= 0.5"}            # else it is not asked at all
        because: nothing is known by its name    # why it is not asked then
    rules:                                       # all that hold apply, one after the other
      - when: {annotation: ">= 0.8"}
        times: {image_search: 2}                 # multiplies the weight
        because: its name is known well

A ratio is the weight of a source, times what the rules that hold say, divided by the sum of these over the sources that
are asked. The facts are those of `dqh.discovery.understanding.FACTS`, and for `when` also `ANSWER_FACTS`, which are
known once the sources have answered. The table that comes with this package is `blend_rules.yaml` beside this file.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dqh.config.names import nearest
from dqh.discovery.understanding import FACTS, Dominance
from dqh.errors import ConfigError
from dqh.files import read_regular
from dqh.schema import Check, mapping, maybe, number, record, sequence, text, wanted

SOURCES = ("visual_search", "object_search", "image_search")
"""Of a blend: what looks like the photo, what has objects that look like its own, what is called as it is."""

ANSWER_FACTS = {
    "object_nearness": "mean distance of the ten nearest images over that of the ten first answers of object search",
    "word_nearness": "the same over that of the ten first answers of image search, at most 1",
}
"""Numbers that are known once the sources have answered, 0 where one has no answers; for `when`, not for `asked`."""

DEFAULT = Path(__file__).with_name("blend_rules.yaml")
"""The table that is used where none is named."""

_MOST_BYTES = 2**16
_LARGEST = 1e6
_CONDITION = re.compile(r"(>=|<) ?([0-9]*\.?[0-9]+)")


class Condition(NamedTuple):
    """What must hold of a fact: that it is at least (`>=`), or below (`<`), a limit."""

    fact: str
    sign: str
    limit: float

    def holds(self, facts: Mapping[str, float]) -> bool:
        """Of some facts, by their names."""
        return (facts[self.fact] >= self.limit) == (self.sign == ">=")

    def told(self, facts: Mapping[str, float]) -> str:
        """The fact, and what is wanted of it.

        Example:
            >>> Condition("annotation", ">=", 0.8).told({"annotation": 0.5})
            'annotation 0.5, wanted >= 0.8'
        """
        wanted_of_it = "" if self.holds(facts) else ", wanted"
        return f"{self.fact} {facts[self.fact]:.3g}{wanted_of_it} {self.sign} {self.limit:g}"


class SourceRule(NamedTuple):
    """What a table says of a source.

    Attributes:
        weight: above 0, against those of the other sources.
        asked: must all hold, else it is not asked.
        because: why it is not asked then.
    """

    weight: float
    asked: tuple[Condition, ...]
    because: str


class Rule(NamedTuple):
    """What changes the weights.

    Attributes:
        when: must all hold.
        times: source → what its weight is multiplied by, at least 0.
        because: why.
    """

    when: tuple[Condition, ...]
    times: Mapping[str, float]
    because: str


class Ratio(NamedTuple):
    """How much of the answer is of a source.

    Attributes:
        ratio: 0 … 1; 0 where it is not asked. Those of all sources sum to 1, where any is asked.
        asked: whether it is.
        because: what made it so, in words, a line a reason.
    """

    ratio: float
    asked: bool
    because: tuple[str, ...]


@dataclass(frozen=True)
class BlendRules:
    """A table.

    Attributes:
        dominant: when an object counts as dominant.
        sources: by name; those that it does not name are never asked.
        rules: in their order.
    """

    dominant: Dominance
    sources: Mapping[str, SourceRule]
    rules: tuple[Rule, ...] = ()

    def refused(self, facts: Mapping[str, float], unable: Mapping[str, str] | None = None) -> dict[str, str]:
        """The sources that are not asked about a photo → why.

        Args:
            facts: by the names of `FACTS`.
            unable: sources that cannot be asked → why.
        """
        why = dict(unable or {})
        for name in (name for name in SOURCES if name not in why):
            rule = self.sources.get(name)
            if rule is None:
                why[name] = "the table of rules does not name it"
            elif missed := [condition.told(facts) for condition in rule.asked if not condition.holds(facts)]:
                why[name] = f"{rule.because} ({', '.join(missed)})"
        return why

    def ratios(self, facts: Mapping[str, float], refused: Mapping[str, str]) -> dict[str, Ratio]:
        """The ratio of each of `SOURCES`, with its reasons, once those that are asked have answered.

        Args:
            facts: by the names of `FACTS` and `ANSWER_FACTS`.
            refused: sources that were not asked → why.
        """
        weights = {name: self.sources[name].weight for name in SOURCES if name not in refused}
        reasons = {name: [f"weight {weight:g}"] for name, weight in weights.items()}
        for change in self.rules:
            if not all(condition.holds(facts) for condition in change.when):
                continue
            told = ", ".join(condition.told(facts) for condition in change.when)
            for name in weights.keys() & change.times.keys():
                weights[name] *= change.times[name]
                reasons[name].append(f"times {change.times[name]:g}: {change.because} ({told})")
        total = sum(weights.values()) or 1.0
        return {
            name: Ratio(0.0, False, (refused[name],))
            if name in refused
            else Ratio(weights[name] / total, True, tuple(reasons[name]))
            for name in SOURCES
        }


def fixed_rules(weights: Mapping[str, float]) -> BlendRules:
    """A table that asks these sources whatever is understood, always in the same ratios."""
    return BlendRules(Dominance(), {name: SourceRule(weight, (), "") for name, weight in weights.items()})


def read_rules(path: str | Path = DEFAULT) -> BlendRules:
    """The table in a yaml file.

    Raises:
        ConfigError: it is not there, cannot be read, is no yaml, or does not make sense: all that is wrong together.
    """
    file = Path(path)
    advice = "take the one that comes with dqh as a pattern"
    try:
        content = read_regular(file, most=_MOST_BYTES, links=True)
    except OSError as error:
        raise ConfigError(f"no table of rules at {file}: {error.strerror}; {advice}: {DEFAULT}") from error
    except ValueError as error:
        raise ConfigError(f"{file} is no table of rules: {error}; {advice}: {DEFAULT}") from error
    try:
        fields = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is no yaml: {error}; {advice}: {DEFAULT}") from error
    if problems := _TABLE(fields, ""):
        raise ConfigError([f"{file}: {problem}" for problem in problems])
    return _rules_of(fields)


def _rules_of(fields: Mapping[str, Any]) -> BlendRules:
    """The table of fields that `_TABLE` sees nothing wrong in."""
    sources = {
        name: SourceRule(own["weight"], _conditions(own.get("asked") or {}), own.get("because", ""))
        for name, own in fields["sources"].items()
    }
    rules = (Rule(_conditions(own["when"]), own["times"], own["because"]) for own in fields.get("rules") or ())
    return BlendRules(Dominance(**fields["dominant"]), sources, tuple(rules))


def _conditions(fields: Mapping[str, str]) -> tuple[Condition, ...]:
    matches = ((fact, _CONDITION.fullmatch(said)) for fact, said in fields.items())
    return tuple(Condition(fact, match[1], float(match[2])) for fact, match in matches if match is not None)


def _named(names: Collection[str], check: Check) -> Check:
    """Some of these names, at least one, each with what a check wants; another one is told with the nearest."""

    def checked(value: Any, field: str) -> list[str]:
        if type(value) is not dict or not value:
            return [f"{field} must be an object with some of {', '.join(names)}, got {str(value)[:60]!r}"]
        unknown = [str(name) for name in value if name not in names]
        problems = []
        for name in unknown:
            close = nearest(name, names)
            hint = f"did you mean {close!r}?" if close else f"there are {', '.join(names)}"
            problems.append(f"{field} names {name[:60]!r}, which there is not; {hint}")
        return problems + mapping(check)({name: own for name, own in value.items() if name in names}, field)

    return checked


_WEIGHT = wanted(
    f"a number above 0 and at most {_LARGEST:g}",
    lambda value: type(value) in (int, float) and 0 < value <= _LARGEST,
)
_LIMIT = wanted('">= NUMBER" or "< NUMBER"', lambda value: type(value) is str and bool(_CONDITION.fullmatch(value)))
_SOURCE = record(
    {"weight": _WEIGHT, "asked": maybe(_named(FACTS, _LIMIT)), "because": text(r".+", "a text that says why")},
    optional=("asked", "because"),
)
_RULE = record(
    {
        "when": _named((*FACTS, *ANSWER_FACTS), _LIMIT),
        "times": _named(SOURCES, number(0, _LARGEST)),
        "because": text(r".+", "a text that says why"),
    }
)
_TABLE = record(
    {
        "dominant": record({"score": number(0, 1), "area": number(0, 1), "lead": number(1, _LARGEST)}),
        "sources": _named(SOURCES, _SOURCE),
        "rules": maybe(sequence(_RULE)),
    },
    optional=("rules",),
)
