"""A version is whole before a request sees it."""

from pathlib import Path

import pytest
from PIL import Image

from dqh.collection.word_search import WordSearch
from dqh.index.store.version import Version
from tests.service.conftest import opened


def test_no_request_makes_what_a_version_needs(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of words, the tags, and the counts of both are there once a version is open."""
    made: list[Version] = []

    class Counted(WordSearch):
        def __init__(self, version: Version) -> None:
            made.append(version)
            super().__init__(version)

    monkeypatch.setattr("dqh.discovery.lens.WordSearch", Counted)
    served = opened(indexed).open()
    assert made == [served.version]
    assert {"labels", "tags"} <= vars(served).keys()
    assert "tags" in vars(served.version)
    with Image.open(indexed.parent / "photos" / "b" / "red.png") as photo:
        answer = served.lens.ask(photo.convert("RGB"), k=2)
    assert [source.name for source in answer.sources if source.hits][-1] == "image_search"
    assert made == [served.version]
