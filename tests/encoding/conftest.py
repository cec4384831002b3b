"""The artifact and the photos of the tests of encoding."""

from tests.collection.conftest import artifact
from tests.data.conftest import folder

__all__ = ["artifact", "folder"]
