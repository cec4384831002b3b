"""What a lens answers about a photo, as values that go to JSON; how it comes to be is in `dqh.discovery.lens`."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from dqh.collection.artifact_note import absolute
from dqh.discovery.blend import Result, SourceHit
from dqh.discovery.understanding import Understanding

STAGES = ("decode", "detect", "encode", "visual_search", "understand", "object_search", "image_search", "blend")
"""In their order."""


class Source(NamedTuple):
    """What became of a source.

    Attributes:
        name: of `dqh.discovery.blend_rules.SOURCES`.
        asked: whether it was asked.
        ratio: how much of the blend is of it, 0 … 1.
        because: why it is so, in words, one a reason.
        note: why it has no answers though it was asked; else "".
        hits: its answers, best first, an image once.
    """

    name: str
    asked: bool
    ratio: float
    because: tuple[str, ...]
    note: str
    hits: tuple[SourceHit, ...]


@dataclass(frozen=True)
class LensAnswer:
    """A photo with what is known of it and what was found for it.

    Attributes:
        understanding: what is known.
        facts: the numbers that the rules went by, of `FACTS` and `ANSWER_FACTS`.
        sources: what became of each, in the order of `SOURCES`.
        results: of all sources together, best first.
        note: why there is none, in words; else "".
        seconds: of each of `STAGES`; those of sources that were not asked are 0.
    """

    understanding: Understanding
    facts: dict[str, float]
    sources: tuple[Source, ...]
    results: tuple[Result, ...]
    note: str
    seconds: dict[str, float]

    def to_json(self, root: str) -> dict[str, Any]:
        """All of it as plain JSON values, each result with the file that it is of.

        Args:
            root: that paths of results are relative to.
        """
        return {
            "understanding": self.understanding.to_json(),
            "facts": self.facts,
            "sources": [
                source._asdict() | {"because": list(source.because), "hits": [_hit(hit) for hit in source.hits]}
                for source in self.sources
            ],
            "results": [
                {
                    "path": result.path,
                    "file": absolute(result.path, root),
                    "score": result.score,
                    "named": [{"source": own.source, "rank": own.rank} | _hit(own.hit) for own in result.named],
                }
                for result in self.results
            ],
            "note": self.note,
            "seconds": self.seconds,
        }


def _hit(hit: SourceHit) -> dict[str, Any]:
    return hit._asdict() | {"tags": {tag.word: tag.weight for tag in hit.tags}}
