"""The ASGI application: the routes over an index, behind the guard."""

import time

from dqh.data.images import Limits
from dqh.service.cut import headers_of
from dqh.service.endpoints import PUBLIC, application
from dqh.service.gauges import Gauges
from dqh.service.guard import Guard
from dqh.service.image_workers import ImageWorkers
from dqh.service.newest import Newest
from dqh.service.questions import Questions
from dqh.service.routes import ROUTES, Service
from dqh.service.served import Parts, Served
from dqh.service.settings import Settings
from dqh.service.stored_images import StoredImages


def make_app(parts: Parts, settings: Settings, gauges: Gauges) -> Guard:
    """The application; its lifespan ends the processes and threads that it starts.

    Raises:
        DqhError: the index cannot be opened, see `Parts.open`, or has none of the related items.
    """
    newest: Newest[Served] = Newest(parts.index, parts.open, require=Served.require_items)
    workers = ImageWorkers(settings.workers, pixels=settings.pixels, seconds=settings.image_seconds)
    workers.warm()
    images = StoredImages(workers, limits=Limits(), kept_bytes=settings.thumbnail_bytes)
    _watch(gauges, newest, images)
    questions = Questions(newest, workers, images, settings, part=parts.part)
    service = Service(settings, gauges, lambda: guard, questions)

    def close() -> None:
        newest.close()
        workers.close()

    app = application(ROUTES, service, close=close)

    def told() -> dict[str, str]:
        return headers_of(parts.part, newest.held.number)

    guard = Guard(app, settings, gauges, public=PUBLIC, told=told)
    return guard


def _watch(gauges: Gauges, newest: Newest[Served], images: StoredImages) -> None:
    """Gauges of what is served."""
    gauges.watch("dqh_index_version", "Version that is served.", lambda: newest.held.number)
    gauges.watch("dqh_index_rows", "Rows of it.", lambda: len(newest.held.version))
    gauges.watch("dqh_index_age_seconds", "Since it was opened.", lambda: time.time() - newest.opened)
    gauges.watch("dqh_index_failures", "Newer versions that could not be opened.", lambda: newest.failures)
    gauges.watch(
        "dqh_related_missing_items",
        "Items of the log of related items that the version does not have.",
        lambda: 0 if (related := newest.held.related) is None else related.missing,
    )
    gauges.watch("dqh_pictures_bytes", "Of pictures that are kept.", lambda: images.bytes)
    gauges.watch("dqh_pictures_hits", "Pictures that were kept.", lambda: images.hits)
    gauges.watch("dqh_pictures_misses", "Pictures that were made.", lambda: images.misses)
