"""Rows of an index and what was found, as they are answered: names as text, boxes as shares, links to pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dqh.discovery.annotate import Annotation
from dqh.discovery.blend import Result as LensResult
from dqh.discovery.flashlight import Spot
from dqh.discovery.related.related_answer import RelatedItem
from dqh.discovery.understanding import Understanding
from dqh.index.store import Box
from dqh.index.store import Hit as StoreHit
from dqh.index.store.rows import StoredRow
from dqh.index.store.tags import Tag as StoreTag
from dqh.service import fields
from dqh.service.image_shares import shares
from dqh.service.related_fields import Propensity, RelatedHit
from dqh.service.served import Served
from dqh.service.stored_images import StoredImages


class Told:
    """Answers about one version of an index.

    Args:
        served: the version.
        images: its images, for their sizes.
        sizes: whether sizes are asked for; boxes need those of their images anyhow.
        originals: whether files are served as they are.
    """

    def __init__(self, served: Served, images: StoredImages, *, sizes: bool, originals: bool) -> None:
        self._served, self._images, self._sizes, self._originals = served, images, sizes, originals
        self._root = served.version.manifest.root

    def hits(self, hits: Sequence[StoreHit]) -> list[fields.Hit]:
        """Answers in their order."""
        sizes = self._sizes_of([hit.id for hit in hits]) if self._sizes or any(hit.box for hit in hits) else {}
        return [
            fields.Hit(
                **self._common(hit, hit.tags, sizes.get(hit.id)),
                distance=hit.distance,
                code_distance=hit.code_distance,
            )
            for hit in hits
        ]

    def items(self, rows: Sequence[StoredRow]) -> list[fields.Item]:
        """Rows in their order."""
        return [fields.Item(**self.item(row)) for row in rows]

    def item(self, row: StoredRow) -> dict[str, Any]:
        """The fields of an item."""
        size = self._images.size(row, self._root) if self._sizes or row.box else None
        return self._common(row, self._served.version.tags.get(row.path, ()), size)

    def results(self, results: Sequence[LensResult]) -> list[fields.Result]:
        """Results of a lens in their order."""
        rows = self._rows([result.hit.id for result in results])
        return [
            fields.Result(
                **self.item(row),
                relevance=round(result.score, 6),
                named=[
                    fields.Naming(
                        source=naming.source,
                        rank=naming.rank,
                        score=round(naming.hit.score, 6),
                        words=[readable(word) for word in naming.hit.words],
                    )
                    for naming in result.named
                ],
            )
            for row, result in zip(rows, results, strict=True)
        ]

    def related(self, items: Sequence[RelatedItem]) -> list[RelatedHit]:
        """Related items in their order."""
        rows = self._rows([item.id for item in items])
        return [
            RelatedHit(
                **self.item(row),
                distance=round(item.features["feature_distance"], 6),
                code_distance=round(item.features["code_distance"], 6),
                relevance=round(item.score, 6),
                sources=list(item.sources),
                features={name: round(value, 6) for name, value in item.features.items()},
                propensity=None if item.propensity is None else Propensity(**item.propensity._asdict()),
            )
            for row, item in zip(rows, items, strict=True)
        ]

    def _common(
        self, row: StoredRow | StoreHit, tags: Sequence[StoreTag], size: tuple[int, int] | None
    ) -> dict[str, Any]:
        own = f"/v1/items/{row.id}"
        return {
            "id": row.id,
            "name": readable(_below(row.path)),
            "labels": [readable(label) for label in row.labels],
            "tags": [fields.Tag(tag.word, round(tag.weight, 6)) for tag in tags],
            "object": None if row.object is None else readable(row.object),
            "score": None if row.score is None else round(row.score, 6),
            "box": None if row.box is None or size is None else shares(row.box, size),
            "size": size,
            "thumbnail": f"{own}/thumbnail",
            "preview": f"{own}/preview",
            "original": f"{own}/original" if self._originals else None,
        }

    def _sizes_of(self, ids: Sequence[int]) -> dict[int, tuple[int, int] | None]:
        return {row.id: self._images.size(row, self._root) for row in self._rows(ids)}

    def _rows(self, ids: Sequence[int]) -> list[StoredRow]:
        version = self._served.version
        return version.rows(np.searchsorted(version.ids, np.array(ids, np.int64)))


def spot(own: Spot, size: tuple[int, int], hits: list[fields.Hit]) -> fields.Spot:
    """An object of an image of `size`, with its answers."""
    return fields.Spot(
        box=shares(own.box, size),
        dot=_dot(own.box, size),
        object=None if own.object is None else readable(own.object),
        score=_rounded(own.score),
        worth=own.worth,
        shown=own.shown,
        words=[_word(word) for word in own.words],
        hits=hits,
    )


def understood(known: Understanding) -> fields.Understood:
    """What is known of an image."""
    return fields.Understood(
        objects=[seen(own.box, own.name, own.score, known.size) for own in known.objects],
        dominant=None if known.dominant is None else known.objects.index(known.dominant),
        words=[_word(word) for word in known.annotations],
        category=None
        if known.category is None
        else fields.Category(readable(known.category.name), round(known.category.confidence, 6), known.category.by),
        colours=[fields.Colour(colour.name, colour.hex, round(colour.share, 6)) for colour in known.colours],
    )


def _word(word: Annotation) -> fields.Word:
    return fields.Word(readable(word.word), round(word.share, 6), word.confidence)


def seen(box: Box, name: str | None, score: float | None, size: tuple[int, int]) -> fields.Seen:
    """What is seen in a box of an image of `size`."""
    return fields.Seen(
        box=shares(box, size),
        dot=_dot(box, size),
        object=None if name is None else readable(name),
        score=_rounded(score),
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _dot(box: Box, size: tuple[int, int]) -> tuple[float, float]:
    x0, y0, x1, y1 = shares(box, size)
    return round((x0 + x1) / 2, 6), round((y0 + y1) / 2, 6)


def _below(path: str) -> str:
    """A path below the root of the index; of one elsewhere its last part, as how to get there is nobody's business."""
    return path.rpartition("/")[2] if path.startswith(("../", "/")) else path


def readable(text: str) -> str:
    r"""A name as text that JSON can hold: bytes of it that are no UTF-8 show as the replacement character.

    Example:
        >>> readable("caf\udce9.jpg")
        'caf�.jpg'
    """
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
