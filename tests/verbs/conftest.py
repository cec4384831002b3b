"""The artifact and the photos of the tests of indexing."""

from tests.indexing.conftest import artifact, folder

__all__ = ["artifact", "folder"]
