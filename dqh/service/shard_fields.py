"""What a router asks shards, and what they answer, as JSON; see `dqh.service.shard`.

Arrays are their bytes, little-endian, in base64. D embedding dimensions, F feature dimensions, m candidates.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dqh.service.fields import MOST_ANSWERS, Box, Found, Hit, IndexKnown, Items, Seconds, Size

MOST_CANDIDATES = 2**20


class Query(Struct, kw_only=True):
    """An image, or a part of it, as a query; `pool` is how many candidates a search by it has, `rank` what orders them.

    `embedding` is (D,) float32, `features` (F,) float16.
    """

    encoder_id: str
    embedding: bytes
    features: bytes
    size: Size | None
    box: Box | None
    rank: Literal["codes", "fine"]
    pool: int
    seconds: Seconds


class CandidatesAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which rows are nearest to a query by code."""

    encoder_id: str
    embedding: bytes
    features: bytes
    pool: Annotated[int, Meta(ge=1, le=MOST_CANDIDATES)]
    where: Annotated[str, Meta(min_length=1, max_length=10_000)] | None = None
    among: Literal["images", "objects"] = "images"


class Candidates(Struct, kw_only=True):
    """The rows nearest to a query by code, as many as were asked for: `ids` (m,) int64, `distances` (m,) float32.

    `rows` may be among them, of `of_images` images where they are objects; `images` (m,) int64 are equal then where the
    images of objects are. `has_objects`: whether the index has any.
    """

    version: int
    ids: bytes
    distances: bytes
    images: bytes
    rows: int
    of_images: int
    engine: str
    is_exact: bool
    has_objects: bool


class NearestAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which of some candidates answer a query: `ids` (m,) int64 with their distances by code, (m,) float32."""

    version: int
    encoder_id: str
    embedding: bytes
    features: bytes
    ids: bytes
    code_distances: bytes
    k: Annotated[int, Meta(ge=1, le=MOST_ANSWERS)]
    rank: Literal["codes", "fine"]
    among: Literal["images", "objects"] = "images"
    sizes: bool = False


class Nearest(Struct, kw_only=True):
    """The answers, nearest first."""

    version: int
    hits: list[Hit]


class ShardState(Struct, kw_only=True):
    """What became of a shard: it `answered`, of one `version` of its part of the index, or is `down`, for a reason."""

    shard: int
    address: str
    state: Literal["answered", "down"]
    version: int | None = None
    reason: str = ""


class RoutedFound(Found, kw_only=True):
    """Answers to a search of all shards that answered, see `Found`; `partial` where one did not."""

    partial: bool
    shards: list[ShardState]


class RoutedItems(Items, kw_only=True):
    """Items of all shards that answered, by rising id; see `Items`."""

    partial: bool
    shards: list[ShardState]


class RoutedIndex(IndexKnown, kw_only=True):
    """What all shards that answer serve together.

    `at_least` names, of `labels` and `tags`, those counts that may be too small, as shards tell their most frequent
    ones alone.
    """

    at_least: list[str]
    partial: bool
    shards: list[ShardState]
