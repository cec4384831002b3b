"""Numbers of things in messages."""


def counted(count: int, one: str, several: str | None = None) -> str:
    """A number and what there are so many of.

    For any other number than one, the words are `several`, or `one` and an `s`.

    Example:
        >>> counted(1, "image"), counted(1200, "image"), counted(2, "class is", "classes are")
        ('1 image', '1,200 images', '2 classes are')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"
