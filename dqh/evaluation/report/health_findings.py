"""The numbers of `health` in plain words, each threshold beside its number. Nothing is computed here.

Few codes and correlated bits are what training by class leads to: no finding calls them an error.
"""

import math
from collections.abc import Mapping
from typing import Any

from dqh.evaluation.health import BORDER, NEARLY_CONSTANT, TWIN, Health

SHARED = 0.5
"""Share of items with another item's code from which the finding says what that means."""


def findings(health: Mapping[str, Any]) -> list[str]:
    """A sentence or two each on bits, pairs of bits, entropy, distinct codes and embedding, of `Health.to_json()`."""
    read = Health.from_json(health)
    findings = [_on_bits(read), _on_pairs(read), _on_entropy(read), on_codes(health), _on_embedding(read)]
    return [sentence for sentence in findings if sentence]


def _on_bits(health: Health) -> str:
    if health.dead + health.nearly_constant == 0:
        return (
            f"Every one of the {health.bits} bits has both values in at least {percent(NEARLY_CONSTANT)} of the items; "
            f"they are 1 in {percent(min(health.balance))} to {percent(max(health.balance))}."
        )
    return (
        f"{health.dead} of {health.bits} bits are constant, {health.nearly_constant} more nearly so (one value in over "
        f"{percent(1 - NEARLY_CONSTANT)} of the items): they tell hardly any two items apart."
    )


def _on_pairs(health: Health) -> str:
    if health.max_pair is None:
        return ""
    one, other = health.max_pair
    strongest = f"{health.max_correlation:+.2f}".replace("-", "−")
    return (
        f"Two bits correlate by {health.mean_correlation:.2f} on average, signs aside, and by {strongest} at "
        f"most (bits {one} and {other}); {health.twins} of {health.bits} bits are nearly the copy or the opposite of "
        f"another one (at least {TWIN})."
    )


def _on_entropy(health: Health) -> str:
    return (
        f"The codes carry {health.code_entropy:.1f} bits, as much as {2**health.code_entropy:,.0f} equally frequent "
        f"codes would; independent bits of this balance would carry {health.bit_entropy_sum:.1f}, and {health.items:,} "
        f"items can show no more than {math.log2(health.items):.1f}."
    )


def on_codes(health: Mapping[str, Any]) -> str:
    """How many codes of any kind are different, by those fields of `Health` that say so."""
    text = (
        f"{health['distinct']:,} distinct codes among {health['items']:,} items (uniformly random ones: "
        f"{health['expected_distinct']:,.0f}); {percent(health['colliding'])} of the items share theirs with another "
        f"item, the most frequent code has {health['largest'][0]:,} items."
    )
    if health["colliding"] > SHARED:
        text += " Training by class aims at that, one code a class; codes made without classes lose detail by it."
    return text


def _on_embedding(health: Health) -> str:
    if health.saturation is None:
        return ""
    return (
        f"{percent(health.saturation.saturated)} of the embedding's values lie within {percent(BORDER)} of the range "
        f"of either end, {percent(health.saturation.undecided)} as near to the threshold, where little flips a bit."
    )


def percent(share: float) -> str:
    """A share in percent, with the digits that tell it from none and all, and a space that does not break.

    Example:
        >>> [" ".join(percent(share).split()) for share in (0, 0.0001, 0.02, 0.125, 0.9999, 1)]
        ['0 %', 'under 0.1 %', '2 %', '12.5 %', 'over 99.9 %', '100 %']
    """
    if 0 < share < 0.001:
        return "under 0.1\N{NO-BREAK SPACE}%"
    if 0.999 < share < 1:
        return "over 99.9\N{NO-BREAK SPACE}%"
    return f"{100 * share:.1f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"
