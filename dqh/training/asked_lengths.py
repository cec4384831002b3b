"""Which lengths of code a configuration asks for: one by `bits`, or several from one training by `method.lengths`.

The one place where `method.lengths` is read; nothing here needs torch. How several are learned is in `shared_backbone`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dqh.config import signature_in_file
from dqh.config.kinds import is_node


class Asked(NamedTuple):
    """What is to be trained.

    Attributes:
        config: the configuration without `method.lengths`, with the bits of the main length in `method.bits`: those
            that were given where they are one of the lengths, else the longest. The main one is validated, and is what
            the artifact answers with where nobody asks for another.
        others: bits of the further lengths, ascending; none where `method.lengths` is not given, or null.
        problems: what is wrong with the lengths, one line a problem.
    """

    config: dict[str, Any]
    others: tuple[int, ...]
    problems: tuple[str, ...]


def asked_lengths(config: Mapping[str, Any]) -> Asked:
    """The lengths that a configuration asks for.

    Args:
        config: composed and resolved.

    Example:
        >>> method = {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 48, "lengths": [16, 64, 32]}
        >>> asked = asked_lengths({"method": method})
        >>> asked.config["method"]["bits"], asked.others
        (64, (16, 32))
    """
    method = config.get("method")
    if not isinstance(method, Mapping) or not is_node(method) or "lengths" not in method:
        return Asked(dict(config), (), ())
    plain = {name: value for name, value in method.items() if name != "lengths"}
    lengths = method["lengths"]
    if lengths is None:
        return Asked({**config, "method": plain}, (), ())
    if problem := _problem(lengths, method["_target_"]):
        return Asked({**config, "method": plain}, (), (f"method.lengths: {problem}",))
    main = plain["bits"] if plain.get("bits") in lengths else max(lengths)
    others = tuple(sorted(bits for bits in lengths if bits != main))
    return Asked({**config, "method": plain | {"bits": main}}, others, ())


def _problem(lengths: Any, target: Any) -> str | None:
    """Why these cannot be lengths of the codes of a method."""
    whole = isinstance(lengths, list | tuple) and all(type(bits) is int and bits >= 1 for bits in lengths)
    if not whole or not lengths or len(set(lengths)) < len(lengths):
        return f"got {lengths!r}, wanted different numbers of bits such as [16,32,64], or null for that of bits alone"
    parameters = signature_in_file(target)
    if parameters is not None and "bits" not in parameters:
        return f"got {lengths!r}, but codes of {target} have one length of their own; leave it out"
    return None
