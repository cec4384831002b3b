"""The tags that the next version of an index will have."""

from collections.abc import Callable
from pathlib import Path

from dqh.index.store.live_rows import LiveRows
from dqh.index.store.manifest import Manifest
from dqh.index.store.tags import Tag, Tags, checked_tags, stored_tags


class PendingTags:
    """Tags that wait for a commit.

    Args:
        path: folder of the index.
        manifest: of its newest version; None where there is none yet.
    """

    def __init__(self, path: Path, manifest: Manifest | None) -> None:
        self._path, self._manifest = path, manifest
        self._given: dict[str, tuple[Tag, ...]] | None = None  # None: those of the version before

    def __bool__(self) -> bool:
        """Whether other tags than those of the version before wait."""
        return self._given is not None

    def give(self, tags: Tags, live: LiveRows) -> None:
        """These in place of all others.

        Raises:
            ValueError: a tag is impossible, an image has one twice or too many, or is not in the index.
            StoreError: the tags that are there are damaged.
        """
        kept = checked_tags(tags)
        if unknown := [path for path in kept if not live.has_image(path)]:
            raise ValueError(
                f"{len(unknown)} of {len(kept)} images with tags are not in {self._path}, first {unknown[0]!r}; add "
                "them, or leave their tags out"
            )
        self._given = None if kept == self._before() else kept

    def of_next(self, live: Callable[[], LiveRows], *, gone: bool) -> dict[str, tuple[Tag, ...]] | None:
        """Without those of images that have gone; None where they stay as they are.

        Args:
            live: gives all rows, with the changes so far; not asked where nothing depends on them.
            gone: whether rows go.
        """
        known = self._before() if self._given is None and gone else self._given
        if not known:
            return self._given
        rows = live()
        kept = {path: own for path, own in known.items() if rows.has_image(path)}
        return self._given if len(kept) == len(known) else kept

    def _before(self) -> dict[str, tuple[Tag, ...]]:
        entry = None if self._manifest is None else self._manifest.tags
        return {} if entry is None else stored_tags(self._path, entry)
