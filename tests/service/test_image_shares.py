import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.service.image_shares import parse_box, parse_dot, pixels, shares
from dqh.service.refusals import RequestError


@given(st.integers(1, 5000), st.integers(1, 5000), st.data())
def test_whole_pixels_come_back(width: int, height: int, data: st.DataObject) -> None:
    x0 = data.draw(st.integers(0, width - 1))
    y0 = data.draw(st.integers(0, height - 1))
    box = (x0, y0, data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height)))
    assert pixels(shares(box, (width, height)), (width, height)) == box


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(1, 99), st.integers(1, 99))
def test_a_part_lies_in_the_image_and_is_not_empty(values: list[float], width: int, height: int) -> None:
    x0, y0, x1, y1 = pixels((values[0], values[1], values[2], values[3]), (width, height))
    assert 0 <= x0 < width
    assert 0 <= y0 < height
    assert x0 + 1 <= max(x1, x0 + 1)
    if values[0] < values[2] and values[1] < values[3]:
        assert x0 < x1 <= width
        assert y0 < y1 <= height


def test_texts() -> None:
    assert parse_box("0,0.25,1,5e-1") == (0, 0.25, 1, 0.5)
    assert parse_dot("0.5,1") == (0.5, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0,1", "wanted 4 numbers"),
        ("0,0,1,1,1", "wanted 4 numbers"),
        ("0,0,1,nan", "wanted 4 numbers"),
        ("-0.1,0,1,1", "wanted 4 numbers"),
        ("0,0,1,1e300", "wanted 4 numbers"),
        ("0,0,1,e", "wanted 4 numbers"),
        ("0.5,0,0.5,1", "x0 < x1 and y0 < y1"),
    ],
)
def test_no_box(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as raised:
        parse_box(text)
    assert raised.value.status == 400
