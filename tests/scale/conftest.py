"""An artifact of binary codes, and photos."""

from tests.collection.conftest import artifact, folder

__all__ = ["artifact", "folder"]
