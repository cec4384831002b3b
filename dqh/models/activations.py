"""Names of the activations of a hash head, without torch."""

from typing import Literal, get_args

Activation = Literal["sigmoid", "tanh", "none"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
