"""What the service is asked and answers, as JSON: the page with the interface is made of these.

Boxes and dots are shares of the upright image, 0 … 1, from its left upper corner, in requests and answers alike.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dqh.index.store.part import Part

Share = Annotated[float, Meta(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]
Size = tuple[int, int]
Seconds = dict[str, float]
Id = Annotated[int, Meta(ge=0, le=2**62 - 1, description="Of a row of the index; never given again to another one.")]

MOST_ANSWERS = 1000
MOST_LABELS, MOST_TAGS = 1000, 100
"""The most frequent ones, that are told."""

NUMBER = r"[0-9.eE+-]{1,32}"


class Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What every query takes."""

    id: Id | None = None
    box: (
        Annotated[
            str,
            Meta(pattern=f"^{','.join([NUMBER] * 4)}$", description="x0,y0,x1,y1: ask by this part, shares of 0 … 1."),
        ]
        | None
    ) = None


class SearchAsked(Asked, kw_only=True, forbid_unknown_fields=True):
    """What a search takes."""

    k: Annotated[int, Meta(ge=1, le=MOST_ANSWERS, description="Answers.")] = 20
    dot: (
        Annotated[str, Meta(pattern=f"^{','.join([NUMBER] * 2)}$", description="x,y: ask by the object there.")] | None
    ) = None
    among: Annotated[
        Literal["images", "objects"],
        Meta(description="What answers: images, or objects, of which each image has the nearest one."),
    ] = "images"
    where: (
        Annotated[
            str,
            Meta(min_length=1, max_length=10_000, description="Only rows of which this holds, as `dqh search` takes."),
        ]
        | None
    ) = None
    rank: (
        Annotated[Literal["codes", "fine"], Meta(description="What orders answers; else what the artifact chose.")]
        | None
    ) = None
    sizes: Annotated[bool, Meta(description="Whether answers tell the size of their images.")] = False

    @property
    def is_whole(self) -> bool:
        """Whether no part of an image asks."""
        return self.box is None and self.dot is None


class LookAsked(Asked, kw_only=True, forbid_unknown_fields=True):
    """What a look takes."""

    k: Annotated[int, Meta(ge=1, le=100, description="Answers an object.")] = 10
    most: Annotated[int, Meta(ge=1, le=20, description="Objects, the surest.")] = 5
    words: Annotated[int, Meta(ge=1, le=20, description="Words an object.")] = 5
    sizes: Annotated[bool, Meta(description="Whether answers tell the size of their images.")] = False


class ObjectsAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What asking for objects takes."""

    id: Id | None = None


class ItemsAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a list of items takes."""

    after: Annotated[int, Meta(ge=-1, le=2**62, description="Only ids above this one.")] = -1
    most: Annotated[int, Meta(ge=1, le=MOST_ANSWERS, description="Items.")] = 100
    where: (
        Annotated[
            str,
            Meta(min_length=1, max_length=10_000, description="Only rows of which this holds, as `dqh search` takes."),
        ]
        | None
    ) = None
    spread: (
        Annotated[
            float,
            Meta(
                ge=0,
                lt=1,
                description="Items from all over the index in place of the first ones: of `most` equal parts of it one "
                "item each, which lies this share into its part.",
            ),
        ]
        | None
    ) = None
    sizes: Annotated[bool, Meta(description="Whether items tell the size of their images.")] = False


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True):
    """No parameters."""


class Tag(Struct):
    """A word that somebody gave an image, and how much it says of it, 0 … 1."""

    word: str
    weight: float


class Item(Struct, kw_only=True):
    """A row of the index: an image, or an object in one.

    `name` is the path below the root of the collection, as text; `box` and `size` of its image are null where these
    were not asked for, or cannot be told. `object` and `score` are what a detector saw in the box.
    """

    id: int
    name: str
    labels: list[str]
    tags: list[Tag]
    object: str | None
    score: float | None
    box: Box | None
    size: Size | None
    thumbnail: str
    preview: str
    original: str | None


class Hit(Item, kw_only=True):
    """An answer; `distance` orders answers, `code_distance` is that of the codes."""

    distance: float
    code_distance: float


class Word(Struct):
    """A word for what a query shows; `share` of its answers, `confidence` where one was fitted."""

    word: str
    share: float
    confidence: float | None


class Seen(Struct, kw_only=True):
    """An object that a detector saw, with its dot, the middle of its box."""

    box: Box
    dot: tuple[Share, Share]
    object: str | None
    score: float | None


class Spot(Seen, kw_only=True):
    """An object, what it is called, and what looks like it; `shown` and `worth` by the filter of dots, if any."""

    worth: float | None
    shown: bool
    words: list[Word]
    hits: list[Hit]


class Found(Struct, kw_only=True):
    """Answers to a search, all of one `version` of the index.

    `box` is the part that asked, null for the whole image; `size` that of the query, null where it was not read. `rule`
    says in words how candidates were chosen, `note` why there are no answers. `seconds` are of the stages; where
    several requests were searched together, of all of them.
    """

    version: int
    size: Size | None
    box: Box | None
    hits: list[Hit]
    rank: str
    rule: str
    engine: str
    candidates: int
    note: str
    seconds: Seconds


class Sight(Struct, kw_only=True):
    """The objects of a photo with what was found for each, all of one `version` of the index."""

    version: int
    size: Size
    spots: list[Spot]
    rank: str
    note: str
    seconds: Seconds


class Objects(Struct, kw_only=True):
    """The objects in a photo, the surest first."""

    version: int
    size: Size
    objects: list[Seen]
    note: str
    seconds: Seconds


class LensAsked(Asked, kw_only=True, forbid_unknown_fields=True):
    """What a lens takes."""

    k: Annotated[int, Meta(ge=1, le=100, description="Results.")] = 20
    words: Annotated[int, Meta(ge=1, le=20, description="Words for the image.")] = 5
    sizes: Annotated[bool, Meta(description="Whether results tell the size of their images.")] = False


class Category(Struct):
    """What kind of thing an image shows, `by` labels of what looks like it, or by the detector."""

    name: str
    confidence: float
    by: str


class Colour(Struct):
    """A colour of an image, by the name that CSS has for it; `share` of its pixels."""

    name: str
    hex: str
    share: float


class Understood(Struct, kw_only=True):
    """What is known of an image; `dominant` is the place in `objects` of the one that it is about."""

    objects: list[Seen]
    dominant: int | None
    words: list[Word]
    category: Category | None
    colours: list[Colour]


class Source(Struct, kw_only=True):
    """Who was asked, or not, and how much of the results is of it; `because` says why, `note` why it has no answers."""

    name: str
    asked: bool
    ratio: float
    because: list[str]
    note: str
    answers: int


class Naming(Struct, kw_only=True):
    """That a source named a result, at which rank from 1, with which score 0 … 1, and for which words of it."""

    source: str
    rank: int
    score: float
    words: list[str]


class Result(Item, kw_only=True):
    """A result of all sources together; `relevance` orders them, `named` says by whom, the most telling first."""

    relevance: float
    named: list[Naming]


class Blend(Struct, kw_only=True):
    """What several sources answered about an image, of one `version` of the index; `facts` decided who was asked."""

    version: int
    size: Size
    box: Box | None
    understanding: Understood
    facts: dict[str, float]
    sources: list[Source]
    results: list[Result]
    note: str
    seconds: Seconds


class Items(Struct, kw_only=True):
    """Items by rising id; `next` is what `after` gets for those that follow, null where none do."""

    version: int
    items: list[Item]
    next: int | None


class ItemKnown(Item, kw_only=True):
    """A row of the index, with the other rows of its image: `image`, that of the whole image, and its `objects`."""

    version: int
    image: int | None
    objects: list[int]


class Limits(Struct):
    """What a request may cost."""

    body_bytes: int
    body_seconds: float
    pixels: int
    answers: int
    requests: int
    uploads: int


class IndexKnown(Struct, kw_only=True):
    """What is served; `part` says which shard of which cut it is, null where it was not cut from another index."""

    version: int
    rows: int
    images: int
    objects: int
    labels: dict[str, int]
    tags: dict[str, int]
    encoder_id: str
    detector_id: str | None
    detector_classes: list[str]
    bits: int
    code_kind: str
    distance: str
    engine: str
    rank: str
    can: list[str]
    limits: Limits
    part: Part | None = None
    dqh: str


class Problem(Struct, kw_only=True):
    """Why a request was refused or failed (RFC 9457); `request_id` is in the log of the service."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str


class State(Struct):
    """Whether the service lives, or can answer."""

    status: str


class SessionAsked(Struct, forbid_unknown_fields=True):
    """The token, once, for a cookie that pictures of a page are loaded with."""

    token: Annotated[str, Meta(max_length=4096)]
