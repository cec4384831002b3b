"""The artifacts of the tests of artifacts."""

from tests.artifact.conftest import copied, formed, saved

__all__ = ["copied", "formed", "saved"]
