"""What is asked and answered about related items, as JSON; see `dqh.service.fields`."""

from typing import Annotated

from msgspec import Meta, Struct

from dqh.service.fields import Hit, Id, Seconds, Size


class RelatedAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What asking for related items takes."""

    id: Id | None = None
    k: Annotated[int, Meta(ge=1, le=100, description="Related items.")] = 20
    sizes: Annotated[bool, Meta(description="Whether related items tell the size of their images.")] = False


class Propensity(Struct, kw_only=True):
    """Save propensity: users who saved an item of those who were shown it, with its 95 % interval."""

    value: float
    low: float
    high: float
    saved_by: int
    shown_to: int


class RelatedHit(Hit, kw_only=True):
    """A related item; `relevance` orders them, and `distance` is that of the features.

    `sources` says where it came from as a candidate: `visual`, `object`, `together` (boards of the log), `shown`
    (beside the item, in the log). `features` are what it was ranked by, by their names. `propensity` is null where the
    log has not shown it.
    """

    relevance: float
    sources: list[str]
    features: dict[str, float]
    propensity: Propensity | None


class Related(Struct, kw_only=True):
    """Related items, all of one `version` of the index.

    `item` is the id of the image that was asked by, null for one that was sent, as is `size` for an item. `by` says
    whether it was ranked by `log and looks`, or by `looks` alone, where the log does not have it. `candidates` were
    ranked.
    """

    version: int
    item: int | None
    size: Size | None
    hits: list[RelatedHit]
    by: str
    ranker: str
    candidates: int
    note: str
    seconds: Seconds
