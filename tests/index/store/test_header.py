from pathlib import Path

import pytest

from dqh.errors import MismatchError
from dqh.index.store.header import Header, require_detector, require_same_encoder
from dqh.quantizers import ClassIndex
from tests.index.store.conftest import BITS, ENCODER, FEATURES, HEADER, opened


def test_the_header_of_an_index(index: Path) -> None:
    found = Header.of(index, opened(index).manifest)
    assert found._replace(quantizer=HEADER.quantizer) == HEADER
    assert (found.quantizer.kind, found.quantizer.bits) == ("binary", BITS)
    assert (found.encoder_id, found.feature_size, found.root) == (ENCODER, FEATURES, "/photos")


def test_only_the_root_may_differ() -> None:
    require_same_encoder(Path("i"), HEADER, HEADER._replace(root="/elsewhere"))
    for change in ({"encoder_id": "x"}, {"precision": "x"}, {"feature_size": 1}, {"quantizer": ClassIndex(BITS)}):
        with pytest.raises(MismatchError, match=r"i (was made with|has binary codes of 12 bits)"):
            require_same_encoder(Path("i"), HEADER, HEADER._replace(**change))


@pytest.mark.parametrize(
    ("stored", "given", "message"),
    [
        (None, "b", "^i was made without objects, detector b is given; leave it off, or put the images and their"),
        ("a", None, "^i holds objects of detector a, none is given; name the one that it was made with"),
        ("a", "b", "^i holds objects of detector a, detector b is given, which answers otherwise; .*--objects DET"),
    ],
)
def test_objects_of_another_detector(stored: str | None, given: str | None, message: str) -> None:
    require_detector(Path("i"), stored, stored)
    with pytest.raises(MismatchError, match=message):
        require_same_encoder(Path("i"), HEADER._replace(detector_id=stored), HEADER._replace(detector_id=given))
