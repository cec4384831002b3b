"""What a service answers: each question from one version of the index, whatever is written meanwhile.

Everything here may be asked by many threads at a time. `content` is an encoded image that a client sent, or None where
it names an item.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

import dqh
from dqh.encoded import Encoded
from dqh.index.store import Box
from dqh.index.store.filtering import matching
from dqh.index.store.found import Found
from dqh.index.store.part import Part
from dqh.index.store.rows import StoredRow
from dqh.index.store.where import parse
from dqh.service import fields
from dqh.service.clusters import Clusters, ClustersAsked, Members, MembersAsked, list_clusters, list_members
from dqh.service.image_shares import parse_box, pixels, shares
from dqh.service.image_workers import ImageWorkers
from dqh.service.newest import Newest
from dqh.service.queries import Queries, require_detector
from dqh.service.refusals import RequestError
from dqh.service.related_fields import Related, RelatedAsked
from dqh.service.served import Served
from dqh.service.settings import Settings
from dqh.service.shared import Asked
from dqh.service.stored_images import SIDES, StoredImages
from dqh.service.told import Told, readable, seen, spot, understood
from dqh.service.watch import Watch

_OBJECTS = 20
"""Objects of an upload that related items are compared with, the first ones."""


class Query(NamedTuple):
    """What a search asks by.

    Attributes:
        served: version of the index that is asked.
        encoded: the query.
        size: of its image, None where that was not read.
        box: the part of it, pixels; None for all of it.
    """

    served: Served
    encoded: Encoded
    size: tuple[int, int] | None
    box: Box | None


class _Search(NamedTuple):
    """A search that is asked: by what, how, and what it took so far."""

    asked: fields.SearchAsked
    query: Query
    how: Asked
    watch: Watch


P = ParamSpec("P")
R = TypeVar("R")


class Questions:
    """Answers questions about the newest version of an index.

    Args:
        newest: version of the index.
        workers: that decode images.
        images: of the index.
        settings: of the service.
        part: of a cut that the index is; None where it was not cut.
    """

    def __init__(
        self,
        newest: Newest[Served],
        workers: ImageWorkers,
        images: StoredImages,
        settings: Settings,
        *,
        part: Part | None = None,
    ) -> None:
        self.newest, self.images, self._part = newest, images, part
        self._queries, self._settings = Queries(workers, images, at_a_time=settings.workers), settings

    def search(self, asked: fields.SearchAsked, content: bytes | None) -> fields.Found:
        """What looks like an image, a part of it, or an item of the index.

        Raises:
            RequestError: what is asked makes no sense together, names nothing, or needs a detector.
            BadImageError: the image cannot be used.
            WhereError: the filter does not parse.
        """
        search = self._search(self.newest.current(), asked, content)
        answer = search.query.served.snapshot.search(search.query.encoded, **search.how._asdict())
        search.watch.stage("search")
        return self._found(search, answer)

    def search_items(self, asked: Sequence[fields.SearchAsked]) -> list[fields.Found | Exception]:
        """What looks like items of the index, each as a whole, or why there is no answer; all of one version."""
        served = self.newest.current()
        searches = [_attempt(self._search, served, own, None) for own in asked]
        sound = [search for search in searches if isinstance(search, _Search)]
        answers = served.snapshot.search_all([(search.how, search.query.encoded) for search in sound])
        for search in sound:
            search.watch.stage("search")
        told = (
            answer if isinstance(answer, Exception) else _attempt(self._found, search, answer)
            for search, answer in zip(sound, answers, strict=True)
        )
        return [search if isinstance(search, Exception) else next(told) for search in searches]

    def _search(self, served: Served, asked: fields.SearchAsked, content: bytes | None) -> "_Search":
        """What is searched by, and how."""
        watch = Watch()
        query = self.query(asked, content, watch, served=served)
        k = min(asked.k, max(1, len(served.version)))
        rank = asked.rank or served.flashlight.rank
        pool = served.flashlight.pool_of(k) if rank == served.flashlight.rank else None
        return _Search(asked, query, Asked(k, pool, None, asked.where, rank, asked.among), watch)

    def _found(self, search: "_Search", answer: Found) -> fields.Found:
        """An answer as it is told."""
        asked, (served, _, size, box), watch = search.asked, search.query, search.watch
        watch.add(answer.seconds._asdict())
        hits = self.told(served, sizes=asked.sizes).hits(answer.hits[0])
        watch.stage("answer")
        return fields.Found(
            version=served.number,
            size=size,
            box=None if box is None or size is None else shares(box, size),
            hits=hits,
            rank=answer.rank,
            rule=answer.rule,
            engine=answer.engine,
            candidates=int(answer.candidates[0]),
            note="" if hits else _why_nothing(served, asked),
            seconds=watch.total(),
        )

    def query(
        self, asked: fields.SearchAsked, content: bytes | None, watch: Watch, *, served: Served | None = None
    ) -> Query:
        """What a search asks by, of the newest version where none is given; errors as of `search`."""
        served = self.newest.current() if served is None else served
        if asked.box is not None and asked.dot is not None:
            raise RequestError(400, "give box or dot, not both")
        if asked.among == "objects" and not served.version.objects.any():
            raise RequestError(409, "the index has no objects; leave among off, or ask among images")
        if asked.where is not None:
            parse(asked.where)  # before others are searched with it
        row = self._queries.row(served, asked.id, content)
        if row is not None and asked.box is None and asked.dot is None:
            encoded = served.encoded(row)
            watch.stage("read")
            return Query(served, encoded, None, None)
        return Query(served, *self._queries.encoded(served, row, asked, content, watch))

    def look(self, asked: fields.LookAsked, content: bytes | None) -> fields.Sight:
        """The objects of an image, or the part of it that is given, each with words and what looks like it.

        Raises:
            RequestError: no image is sent or named, none has this id, or there is no detector, and no box.
            BadImageError: the image cannot be used.
        """
        watch, served = Watch(), self.newest.current()
        row = self._queries.row(served, asked.id, content)
        if asked.box is None:
            require_detector(served)
        with self._queries.image(served, row, content, watch) as image:
            box = None if asked.box is None else pixels(parse_box(asked.box), image.size)
            sight = served.flashlight.look(image, box=box, k=asked.k, most=asked.most, words=asked.words)
        watch.add({name: value for name, value in sight.seconds.items() if name != "decode"})
        told = self.told(served, sizes=asked.sizes)
        spots = [spot(own, sight.size, told.hits(own.hits)) for own in sight.spots]
        watch.stage("answer")
        return fields.Sight(
            version=served.number,
            size=sight.size,
            spots=spots,
            rank=served.flashlight.rank,
            note=sight.note,
            seconds=watch.total(),
        )

    def lens(self, asked: fields.LensAsked, content: bytes | None) -> fields.Blend:
        """What is known of an image, or a part of it, and what several sources answered about it; errors as of `look`.

        It serves without a detector, too: it sees no objects then.
        """
        watch, served = Watch(), self.newest.current()
        row = self._queries.row(served, asked.id, content)
        with self._queries.image(served, row, content, watch) as image:
            box = None if asked.box is None else pixels(parse_box(asked.box), image.size)
            answer = served.lens.ask(image, box=box, k=asked.k, words=asked.words)
        watch.add({name: value for name, value in answer.seconds.items() if name != "decode"})
        results = self.told(served, sizes=asked.sizes).results(answer.results)
        watch.stage("answer")
        size = answer.understanding.size
        return fields.Blend(
            version=served.number,
            size=size,
            box=None if box is None else shares(box, size),
            understanding=understood(answer.understanding),
            facts={name: round(value, 6) for name, value in answer.facts.items()},
            sources=[
                fields.Source(
                    name=source.name,
                    asked=source.asked,
                    ratio=round(source.ratio, 6),
                    because=list(source.because),
                    note=source.note,
                    answers=len(source.hits),
                )
                for source in answer.sources
            ],
            results=results,
            note=answer.note,
            seconds=watch.total(),
        )

    def related(self, asked: RelatedAsked, content: bytes | None) -> Related:
        """What people save beside an item of the index; of an image that is sent, what is related by its looks.

        Raises:
            RequestError: the service has no related items, no image is sent or named, or none has this id.
            BadImageError: the image cannot be used.
        """
        watch, served = Watch(), self.newest.current()
        if (items := served.related) is None:
            raise RequestError(
                409,
                "this service has no related items; fit them to a log, and name them as it starts: dqh related INDEX "
                "--log LOG --fit DIR, dqh serve INDEX --related DIR",
            )
        self._queries.row(served, asked.id, content)
        size = None
        if content is None:
            assert asked.id is not None
            answer = items.related(asked.id, k=asked.k)
        else:
            encoded, objects, size = self._queries.encoded_with_objects(served, content, watch, most=_OBJECTS)
            answer = items.related_to(encoded, objects, k=asked.k)
        watch.add(dict(answer.seconds))
        hits = self.told(served, sizes=asked.sizes).related(answer.items)
        watch.stage("answer")
        return Related(
            version=served.number,
            item=answer.id,
            size=size,
            hits=hits,
            by=answer.by,
            ranker=items.model.ranker,
            candidates=answer.candidates,
            note="" if hits else "the index has no other images",
            seconds=watch.total(),
        )

    def objects(self, asked: fields.ObjectsAsked, content: bytes | None) -> fields.Objects:
        """The objects in an image: of an item those of the index, if it has any; errors as of `look`."""
        watch, served = Watch(), self.newest.current()
        row = self._queries.row(served, asked.id, content)
        with self._queries.image(served, row, content, watch) as image:
            size = image.size
            parts = self._queries.parts(served, row, image)
        watch.stage("detect")
        objects = [seen(part.box, part.object, part.score, size) for part in parts if part.box is not None]
        note = "" if objects else "no object is seen in the image"
        return fields.Objects(version=served.number, size=size, objects=objects, note=note, seconds=watch.total())

    def items(self, asked: fields.ItemsAsked) -> fields.Items:
        """Rows by rising id, the first or some from all over; `WhereError` where the filter does not parse."""
        served = self.newest.current()
        version = served.version
        rows = np.arange(len(version)) if asked.where is None else matching(parse(asked.where), version)
        rows = rows[version.ids[rows] > asked.after]
        has_more = asked.spread is None and len(rows) > asked.most
        chosen = version.rows(_some(rows, asked.most, asked.spread))
        items = self.told(served, sizes=asked.sizes).items(chosen)
        return fields.Items(version=served.number, items=items, next=chosen[-1].id if has_more else None)

    def clusters(self, asked: ClustersAsked) -> Clusters:
        """The clusters of the index, largest first; RequestError (409) where the service has none."""
        served = self.newest.current()
        return list_clusters(served.clusters, asked, served.version, self.told(served, sizes=False).items)

    def cluster(self, number: int, asked: MembersAsked) -> Members:
        """The members of a cluster; RequestError where there are no clusters (409), or none of this number (404)."""
        served = self.newest.current()
        return list_members(served.clusters, number, asked, served.version, self.told(served, sizes=asked.sizes).items)

    def item(self, number: int) -> fields.ItemKnown:
        """A row with those of the same image; RequestError (404) where there is none."""
        served = self.newest.current()
        row = self.stored(served, number)
        beside = self._queries.beside(served, row)
        whole = next((other.id for other in beside if other.box is None), None)
        return fields.ItemKnown(
            **self.told(served, sizes=True).item(row),
            version=served.number,
            image=whole,
            objects=[other.id for other in beside if other.object is not None],
        )

    def picture(self, number: int, kind: str) -> bytes:
        """A JPEG of the image of a row, a `thumbnail` or a `preview`; errors as of `StoredImages.picture`."""
        served = self.newest.current()
        return self.images.picture(self.stored(served, number), served.version.manifest.root, side=SIDES[kind])

    def original(self, number: int) -> bytes:
        """The file of the image of a row, as it was indexed; RequestError where that is not to be had."""
        if not self._settings.originals:
            raise RequestError(403, "this service does not serve files as they are")
        served = self.newest.current()
        return self.images.content(self.stored(served, number), served.version.manifest.root)

    def stored(self, served: Served, number: int) -> StoredRow:
        """The row of an id; RequestError (404) where there is none."""
        return self._queries.stored(served, number)

    def known(self) -> fields.IndexKnown:
        """What is served, and what it can do."""
        served, settings = self.newest.current(), self._settings
        version, manifest, flashlight = served.version, served.version.manifest, served.flashlight
        detector = flashlight.detector
        uploads = flashlight.encoder.interface.spec.kind == "image"
        abilities = {
            "upload": uploads,
            "detect": uploads and detector is not None,
            "lens": uploads,
            "objects": bool(version.objects.any()),
            "words": flashlight.annotator is not None,
            "related": served.related is not None,
            "clusters": served.clusters is not None,
            "originals": settings.originals,
        }
        return fields.IndexKnown(
            version=served.number,
            rows=len(version),
            images=int((~version.objects).sum()),
            objects=int(version.objects.sum()),
            labels={readable(label): count for label, count in served.labels.items()},
            tags=dict(list(served.tags.items())[: fields.MOST_TAGS]),
            encoder_id=manifest.encoder_id,
            detector_id=None if detector is None else detector.detector_id,
            detector_classes=[] if detector is None else list(detector.classes),
            bits=manifest.bits,
            code_kind=manifest.code_kind,
            distance=served.snapshot.way.distance,
            engine=served.snapshot.engine,
            rank=flashlight.rank,
            can=[name for name, is_able in abilities.items() if is_able],
            limits=fields.Limits(
                body_bytes=settings.body_bytes,
                body_seconds=settings.body_seconds,
                pixels=settings.pixels,
                answers=fields.MOST_ANSWERS,
                requests=settings.requests,
                uploads=settings.uploads,
            ),
            part=self._part,
            dqh=dqh.__version__,
        )

    def told(self, served: Served, *, sizes: bool) -> Told:
        """Tells rows of a version and what was found in it."""
        return Told(served, self.images, sizes=sizes, originals=self._settings.originals)


def _some(rows: NDArray[np.int64], most: int, spread: float | None) -> NDArray[np.int64]:
    """At most `most` of some rows: the first, or one of each of as many equal parts, a share into it."""
    if spread is None or len(rows) <= most:
        return rows[:most]
    return rows[((np.arange(most) + spread) * (len(rows) / most)).astype(np.int64)]


def _attempt(make: Callable[P, R], *given: P.args, **named: P.kwargs) -> R | Exception:
    """What a function gives, or its error, which is the answer to one of several questions."""
    try:
        return make(*given, **named)
    except Exception as error:
        return error


def _why_nothing(served: Served, asked: fields.SearchAsked) -> str:
    if not len(served.version):
        return "the index has no images"
    return "no row fits the filter" if asked.where is not None else "nothing was found"
