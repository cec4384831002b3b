"""What `auto` stands for as `hidden` and `noise`: the layers before the codes of ready-made vectors.

Nothing here needs torch. What comes of the values is in benchmarks/results/recipes.md.
"""

import math
from collections.abc import Mapping
from typing import Any

AUTO = "auto"

HIDDEN = 512
"""Units of the hidden layer of methods that take one."""

MOST_NOISE, LEAST_NOISE = 1.0, 0.7
FEW, MANY = 2_000, 10_000
"""Training images up to which noise is most, and from which it is least."""


def suitable_noise(images: int) -> float:
    """Noise of the features for a number of training images: the fewer they are, the easier they are remembered.

    From 1.0 to .7, linear in the logarithm of their number between 2,000 and 10,000.

    Example:
        >>> [round(suitable_noise(images), 2) for images in (300, 2_000, 4_000, 100_000)]
        [1.0, 1.0, 0.87, 0.7]
    """
    share = math.log(images / FEW) / math.log(MANY / FEW)
    return MOST_NOISE - (MOST_NOISE - LEAST_NOISE) * min(1.0, max(0.0, share))


def with_head(config: Mapping[str, Any], images: int | None = None) -> dict[str, Any]:
    """The configuration with numbers for `auto`, also in the node of the method.

    Args:
        config: composed and resolved.
        images: training images; None where the split is not drawn yet: noise is then 0, which every check lets pass.

    Returns:
        A copy. Where the method is given none of a layer, there is none: `null` of hidden units, noise 0.

    Example:
        >>> method = {"_target_": "dqh.methods.dlbhc.DLBHC", "hidden": "auto"}
        >>> found = with_head({"hidden": "auto", "noise": "auto", "method": method}, 100)
        >>> found["hidden"], found["noise"], found["method"]["hidden"]
        (512, 0, 512)
    """
    values: dict[str, Any] = {"hidden": HIDDEN, "noise": 0 if images is None else suitable_noise(images)}
    none: dict[str, Any] = {"hidden": None, "noise": 0}
    method = config.get("method")
    node = dict(method) if isinstance(method, Mapping) else {}
    own = {name: value for name, value in values.items() if node.get(name) == AUTO}
    whole = {name: node.get(name, none[name]) for name in values if config.get(name) == AUTO}
    return {
        **config,
        **{name: own.get(name, value) for name, value in whole.items()},
        **({"method": node | own} if isinstance(method, Mapping) else {}),
    }
