"""Whether one version of an index may follow another in a place, which holds copies of it."""

from dqh.errors import StoreError
from dqh.index.store.manifest import Manifest

_STAYS = ("encoder_id", "precision", "code_kind", "code_distance", "bits", "feature_size", "root", "detector_id")
"""What is the same in all versions of an index."""


def require_successor(place: str, before: Manifest, manifest: Manifest, *, of: str) -> None:
    """Refuse to put a version where another one is, unless it is that one, or a later one of the same index.

    Args:
        place: where the version before is.
        before: the newest one there.
        manifest: of the version to come.
        of: where that is from.

    Raises:
        StoreError: it is older, or of another index: of other images, another encoder, or a copy that went its own way.
    """
    if manifest == before:
        return
    if manifest.version < before.version:
        raise StoreError(
            f"{place} has version {before.version} of an index, which is newer than version {manifest.version} of "
            f"{of}; name another place"
        )
    own, other = manifest.files(), before.files()
    changed = [name for name in own if name in other and own[name] != other[name]]
    different = [name for name in _STAYS if getattr(before, name) != getattr(manifest, name)]
    if manifest.version == before.version or different or changed:
        why = ", ".join([*different, *changed[:3]]) or f"version {before.version}"
        raise StoreError(
            f"{place} holds another index than {of}, or one that went its own way (they differ in {why}); name another "
            "place"
        )
