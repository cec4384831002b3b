"""The backbone of ready-made features: it returns what it gets."""

from torch import Tensor

from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone


class Identity(Backbone):
    """No network: the input vectors are the features.

    Args:
        size: F, length of a vector.

    Raises:
        ValueError: `size` is below 1.
    """

    name = "identity"
    taps = ("input",)
    architecture = ()

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.spec = InputSpec(size=size, resize=size, kind="vector")
        self.dimension = size
        self.arguments = {}

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, F) to the same."""
        return vectors
