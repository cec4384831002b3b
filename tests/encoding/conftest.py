"""The artifacts and the photos of the tests of encoding."""

from tests.artifact.conftest import copied, formed, saved
from tests.collection.conftest import artifact
from tests.data.conftest import folder

__all__ = ["artifact", "copied", "folder", "formed", "saved"]
