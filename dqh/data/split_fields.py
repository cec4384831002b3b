"""The fields of `split.json`, and what each must be: of an artifact's and of a run's, for those who write and who read.

Its hash is checked where it is made, in `splits`.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal, get_args

from dqh.schema import HASH, Check, anything, integer, maybe, one_of, record, sequence, text

ProtocolName = Literal["full", "cifar10", "cifar10-1", "given", "counts"]
PROTOCOLS: tuple[str, ...] = get_args(ProtocolName)

LARGEST_SEED = 2**63 - 1
"""Of a draw."""

LOOKED_AT = 1000
"""Most rows whose content is looked at for a fingerprint."""

DIGITS = 16
"""Hexadecimal, of the hash of a content in a fingerprint."""

_HANDED_OUT = ("full", "given")
"""Protocols whose roles come from the source: where duplicates are allowed, its lists may name an image in several."""

_SOME = sequence(text(), least=1, different=True)

_FINGERPRINT = {
    "class_names": HASH,
    "labels": HASH,
    "contents": sequence(text(rf"([0-9a-f]{{{DIGITS}}})?", f"{DIGITS} hexadecimal digits, or empty"), least=1),
}

_SPLIT: Mapping[str, Check] = {
    "protocol": one_of(*PROTOCOLS),
    "seed": integer(0, LARGEST_SEED),
    "data": text(),
    "query": _SOME,
    "database": _SOME,
    "train": _SOME,
    "validation": sequence(text(), different=True),
    "fingerprint": maybe(record(_FINGERPRINT)),
    "sha256": anything,
}


def split_problems(content: Any) -> list[str]:
    """What is wrong with the content of a `split.json`, its hash apart, one line a problem.

    No role names an image twice, and none but validation is empty. Train never holds a validation image; queries are in
    no other role, unless the source hands out the roles and names them twice itself. The database may hold train and
    validation images.
    """
    if problems := record(_SPLIT, optional=["fingerprint"])(content, ""):
        return problems
    roles = {name: set(content[name]) for name in ("query", "database", "train", "validation")}
    for one, other in combinations(roles, 2):
        exclusive = "validation" in (one, other) and "train" in (one, other)
        exclusive |= one == "query" and content["protocol"] not in _HANDED_OUT
        if exclusive and (shared := roles[one] & roles[other]):
            problems.append(
                f"{one} and {other} must share no id, {len(shared)} are in both, such as {min(shared)[:60]!r}"
            )
    taken, rows = content.get("fingerprint"), min(LOOKED_AT, len(set().union(*roles.values())))
    if taken is not None and len(taken["contents"]) != rows:
        problems.append(f"fingerprint.contents must be of {rows} rows, got {len(taken['contents'])}")
    return problems
