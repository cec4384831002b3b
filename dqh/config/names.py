"""The keys and values of a configuration as text: dotted keys, the nearest valid name, differences of two runs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from typing import Any

_LISTED = 12  # valid names listed in one message


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that `name` most likely stands for, or None.

    Looked for in this order: the same last part; at the same place, a similar last part or its initials; a similar
    name; a similar last part or its initials anywhere.

    Example:
        >>> nearest("learning_rate", ["optimizer.lr", "optimizer.momentum"])
        'optimizer.lr'
    """
    names = {original.lower(): original for original in valid}
    wanted = name.lower()
    parent, _, leaf = wanted.rpartition(".")
    alike = [
        candidate
        for candidate in names
        if get_close_matches(leaf, [_leaf(candidate)])
        or _initials(leaf) == _leaf(candidate)
        or leaf == _initials(_leaf(candidate))
    ]
    tiers = (
        [candidate for candidate in names if _leaf(candidate) == leaf],
        [candidate for candidate in alike if candidate.rpartition(".")[0] == parent],
        get_close_matches(wanted, names),
        alike,
    )
    for tier in filter(None, tiers):
        return names[max(tier, key=lambda candidate: SequenceMatcher(None, wanted, candidate).ratio())]
    return None


def hint(name: str, valid: Iterable[str], *, listed: Sequence[str], prefix: str = "", suffix: str = "") -> str:
    """The end of a message about a wrong name: `; did you mean PREFIX…SUFFIX? valid: …`, `listed` up to a dozen."""
    near = nearest(name, valid)
    suggestion = f" did you mean {prefix}{near}{suffix}?" if near not in (None, name) else ""
    more = ["…"] * (len(listed) > _LISTED)
    return f";{suggestion} valid: {', '.join([*listed[:_LISTED], *more]) or 'none'}"


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key → value for everything in nested mappings; lists and empty mappings are values.

    Example:
        >>> flatten({"bits": 48, "trainer": {"epochs": 3}})
        {'bits': 48, 'trainer.epochs': 3}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{key}.{inner}": leaf for inner, leaf in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line a value in which the configuration of a checkpoint and the present one differ.

    Example:
        >>> differences({"bits": 48}, {"bits": 32, "seed": 0})
        ['bits: 48 in the checkpoint, 32 now', 'seed: missing in the checkpoint, 0 now']
    """
    before = {key: show(value) for key, value in flatten(old).items()}
    now = {key: show(value) for key, value in flatten(new).items()}
    return [
        f"{key}: {before.get(key, 'missing')} in the checkpoint, {now.get(key, 'missing')} now"
        for key in before | now
        if before.get(key) != now.get(key)
    ]


def show(value: Any) -> str:
    """A value of a configuration as a yaml file would hold it, on one line; tuples look like lists."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _initials(name: str) -> str | None:
    words = name.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else None
