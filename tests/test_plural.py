import pytest

from dqh.plural import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1_234_567, "1,234,567 images")]
)
def test_one_thing_alone_is_told_as_one(count: int, words: str) -> None:
    assert counted(count, "image") == words


def test_other_words_may_be_given() -> None:
    assert [counted(count, "class is", "classes are") for count in (1, 3)] == ["1 class is", "3 classes are"]
