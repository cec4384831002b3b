"""By the symmetric quantizer distance (SQD): the query is quantized, too."""

from typing import ClassVar

from dqh.index.ways.aqd import AQD
from dqh.index.ways.way import Way
from dqh.quantizers.quantizer import Coder

_AGAINST = "what a query in floats brings"


class SQD(AQD):
    """Distances between codes, by the distance of the quantizer alone."""

    engine: ClassVar[str] = "sqd"
    symmetric: ClassVar[bool] = True

    def fits(self, quantizer: Coder | None) -> bool:
        """Codes that stand for vectors, by their own distance."""
        return super().fits(quantizer) and quantizer is not None and self.distance == quantizer.distance

    def leads(self, quantizer: Coder) -> bool:
        """Never: that of a query in floats does."""
        return False

    def restates(self, other: Way) -> bool:
        """Nothing: it tells what quantizing the query costs."""
        return False


WAYS: tuple[Way, ...] = (
    SQD("l2", meaning="Codes on both sides: the query is quantized too (SQD), squared L2.", against=_AGAINST),
    SQD("ip", meaning="Codes on both sides: the query is quantized too (SQD), inner product.", against=_AGAINST),
)
