"""One annotation of PASCAL VOC: what an XML file says of the photo that it is named like.

The files may come from anybody. They are read by expat alone, without a tree: a document type is refused where it
begins, and without one there is no entity to expand and nothing outside to fetch; size and depth are capped. (That is
what `defusedxml` adds to the standard library; three lines need no package for it.) No path is taken from a file.
"""

from typing import NamedTuple
from xml.parsers import expat

from dqh.data.annotations import AnnotationError, Mark, stated_size

MAX_BYTES = 2**24
"""Cap on the size of an annotation, bytes."""

MAX_DEPTH = 32
"""Elements inside one another."""

_ROOT = "annotation"
_OBJECT = (_ROOT, "object")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = {"": False, "0": False, "1": True}


class VOCAnnotation(NamedTuple):
    """What an XML file says: name of the photo's file ("" for none), its size if stated, and its objects."""

    file_name: str
    size: tuple[int, int] | None
    marks: tuple[Mark, ...]


def read_voc_xml(content: bytes, *, where: str, first_pixel: int = 1) -> VOCAnnotation:
    """The annotation in an XML file.

    Args:
        content: of the file.
        where: the file, for the names of its objects: `where#object[0]` is the first one.
        first_pixel: the number of the first pixel of a row. 1, as in VOC: corners name the first and the last pixel
            inside, so that x0 = xmin − 1 and x1 = xmax. 0: corners are edges, x0 = xmin and x1 = xmax.

    Returns:
        Boxes, parts of objects left out. An object without a name or a corner, or with one that is no number, is there
        with its fault.

    Raises:
        AnnotationError: the content is no such XML, holds a document type, or is too large or too deep.
    """
    if len(content) > MAX_BYTES:
        raise AnnotationError(f"an annotation of more than {MAX_BYTES} bytes")
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
    except AnnotationError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: an encoding that Python lacks
        raise AnnotationError(f"no XML that can be read: {error}") from error
    width, height = (_whole(reader.texts.get((_ROOT, "size", side), "")) for side in ("width", "height"))
    marks = [
        _mark(fields, f"{where}#object[{place}]", first_pixel=first_pixel)
        for place, fields in enumerate(reader.objects)
    ]
    return VOCAnnotation(reader.texts.get((_ROOT, "filename"), ""), stated_size(width, height), tuple(marks))


class _Reader:
    """Keeps the text of the elements below the root, and of those of each object, by their path; the first of a path.

    Attributes:
        parser: to be fed.
        texts: path → text, from the root.
        objects: path → text of each object, from inside it.
    """

    def __init__(self) -> None:
        self.texts: dict[tuple[str, ...], str] = {}
        self.objects: list[dict[tuple[str, ...], str]] = []
        self._path: tuple[str, ...] = ()
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.CharacterDataHandler = self._text_of
        self.parser.EndElementHandler = self._end

    def _refuse(self, *_: object) -> None:
        raise AnnotationError("it holds a document type (<!DOCTYPE …>), in which entities hide; write it without one")

    def _start(self, name: str, _: object) -> None:
        self._path, self._text = (*self._path, name), []
        if self._path[0] != _ROOT:
            raise AnnotationError(f"its root is <{name:.40}>, wanted <{_ROOT}>")
        if len(self._path) > MAX_DEPTH:
            raise AnnotationError(f"more than {MAX_DEPTH} elements inside one another")
        if self._path == _OBJECT:
            self.objects.append({})

    def _text_of(self, text: str) -> None:
        self._text.append(text)

    def _end(self, _: str) -> None:
        text, path = "".join(self._text).strip(), self._path
        if path[: len(_OBJECT)] != _OBJECT:
            self.texts.setdefault(path, text)
        elif path != _OBJECT:
            self.objects[-1].setdefault(path[len(_OBJECT) :], text)
        self._path, self._text = path[:-1], []


def _mark(fields: dict[tuple[str, ...], str], where: str, *, first_pixel: int) -> Mark:
    """An object of its fields, with its fault where it cannot be used."""
    name, difficult = fields.get(("name",), ""), fields.get(("difficult",), "")
    texts = [fields.get(("bndbox", corner), "") for corner in _CORNERS]
    faults = [] if name else ["no name"]
    faults += [
        f"{corner} is {text[:40]!r}, wanted a number" if text else f"no {corner} in a bndbox"
        for corner, text in zip(_CORNERS, texts, strict=True)
        if _number(text) is None
    ]
    if difficult not in _FLAGS:
        faults.append(f"difficult is {difficult[:40]!r}, wanted 0 or 1")
    if faults:
        return Mark(where, name, fault="; ".join(faults))
    x0, y0, x1, y1 = (_number(text) or 0.0 for text in texts)
    return Mark(where, name, (x0 - first_pixel, y0 - first_pixel, x1, y1), _FLAGS[difficult])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    """The whole number that a text spells, of at most nine digits; None where it does not."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
