"""Names of the activations of a hash head, without torch."""

from typing import Literal, get_args

Activation = Literal["sigmoid", "tanh", "none"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

MOST_HIDDEN = 65_536
"""Units of a hidden layer at most: an artifact from elsewhere may not ask for more."""
