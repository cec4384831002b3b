"""Numbers of things in messages."""


def counted(count: int, one: str, several: str | None = None) -> str:
    """A number and what there are so many of.

    Args:
        count: how many.
        one: the words for one.
        several: those for any other number; None: an `s` more.

    Example:
        >>> counted(1, "image"), counted(1200, "image"), counted(2, "class is", "classes are")
        ('1 image', '1,200 images', '2 classes are')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"
