import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.data import voc_xml
from dqh.data.annotations import AnnotationError
from dqh.data.voc_xml import MAX_DEPTH, read_voc_xml

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
    "<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>{more}</object>"
)


def voc(*objects, size=(40, 30), name="1.jpg"):
    """An annotation as VOC has it; each object is (name, x0, y0, x1, y1) or ready text."""
    texts = [
        text
        if isinstance(text, str)
        else OBJECT.format(name=text[0], difficult=0, x0=text[1], y0=text[2], x1=text[3], y1=text[4], more="")
        for text in objects
    ]
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>{name}</filename>{sides}{''.join(texts)}</annotation>".encode()


def test_an_annotation_of_voc():
    """Corners 1 … 40 and 2 … 30 of pixels counted from 1 are the edges 0 … 40 and 1 … 30; parts are no objects."""
    part = "<part><name>head</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox></part>"
    hard = OBJECT.format(name=" dog ", difficult=1, x0="3.5", y0=4, x1=9, y1="10", more=part)
    read = read_voc_xml(voc(("cat", 1, 2, 40, 30), hard), where="Annotations/1.xml")
    assert (read.file_name, read.size) == ("1.jpg", (40, 30))
    cat, dog = read.marks
    assert cat == ("Annotations/1.xml#object[0]", "cat", (0, 1, 40, 30), False, "")
    assert dog == ("Annotations/1.xml#object[1]", "dog", (2.5, 3, 9, 10), True, "")
    (other,) = read_voc_xml(voc(("cat", 1, 2, 40, 30)), where="", first_pixel=0).marks
    assert other.box == (1, 2, 40, 30)


def test_a_part_before_the_name_is_not_the_object():
    part = "<part><name>head</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox></part>"
    text = OBJECT.format(name="dog", difficult=0, x0=1, y0=1, x1=2, y1=2, more="").replace(
        "<object>", f"<object>{part}"
    )
    (mark,) = read_voc_xml(voc(text), where="").marks
    assert (mark.name, mark.box) == ("dog", (0, 0, 2, 2))


@pytest.mark.parametrize("size", [None, (0, 0), ("", 3), ("1e3", 5), ("9" * 30, 5)])
def test_a_size_that_says_nothing(size):
    assert read_voc_xml(voc(size=size), where="").size is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<object><name>cow</name></object>", "no xmin in a bndbox; no ymin in a bndbox"),
        (OBJECT.format(name="", difficult="", x0=1, y0=1, x1="wide", y1=2, more=""), "no name; xmax is 'wide', wanted"),
        (OBJECT.format(name="cow", difficult="2", x0=1, y0=1, x1=2, y1=2, more=""), "difficult is '2', wanted 0 or 1"),
    ],
)
def test_objects_with_faults_are_there(text, fault):
    good, bad = read_voc_xml(voc(("cat", 1, 1, 2, 2), text), where="a.xml").marks
    assert good.fault == ""
    assert bad.fault.startswith(fault)
    assert bad.where == "a.xml#object[1]"


def test_numbers_that_are_not_finite_are_kept_for_who_clips():
    (mark,) = read_voc_xml(voc(("cat", "nan", 1, "inf", 2)), where="").marks
    assert math.isnan(mark.box[0])
    assert mark.box[2] == math.inf


BOMB = b"""<?xml version="1.0"?><!DOCTYPE bomb [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><filename>&b;</filename></annotation>"""
OUTSIDE = b"""<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>"""


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (BOMB, "holds a document type .* in which entities hide"),
        (OUTSIDE, "holds a document type"),
        (b"<!DOCTYPE annotation SYSTEM 'http://example.com/a.dtd'><annotation/>", "holds a document type"),
        (b"<annotation><filename>&x;</filename></annotation>", "no XML that can be read: undefined entity"),
        (b"", "no XML that can be read: no element found"),
        (b"<annotation><object>", "no XML that can be read"),
        (b"\x89PNG\r\n", "no XML that can be read"),
        (b"<?xml version='1.0' encoding='no-such'?><annotation/>", "no XML that can be read"),
        (b"<html/>", "its root is <html>, wanted <annotation>"),
        (b"<annotation>" + b"<a>" * MAX_DEPTH, f"more than {MAX_DEPTH} elements inside one another"),
    ],
)
def test_what_is_refused(content, match):
    with pytest.raises(AnnotationError, match=match):
        read_voc_xml(content, where="")


def test_too_large_a_file(monkeypatch):
    monkeypatch.setattr(voc_xml, "MAX_BYTES", 10)
    with pytest.raises(AnnotationError, match="more than 10 bytes"):
        read_voc_xml(voc(), where="")


def test_encodings_that_python_knows_are_read():
    text = voc(("café", 1, 1, 2, 2)).decode()
    (mark,) = read_voc_xml(f"<?xml version='1.0' encoding='latin-1'?>{text}".encode("latin-1"), where="").marks
    assert mark.name == "café"


@given(st.integers(0, 10_000), st.binary(max_size=8), st.booleans())
def test_whatever_a_file_holds_there_is_an_annotation_or_a_reason(place, content, insert):
    """A valid file with a part of it replaced, or something in between."""
    valid = voc(("cat", 1, 2, 40, 30), ("dog", 3, 4, 5, 6))
    place %= len(valid)
    broken = valid[:place] + content + valid[place + (0 if insert else len(content)) :]
    try:
        read = read_voc_xml(broken, where="a.xml")
    except AnnotationError:
        return
    assert all(mark.fault or mark.name for mark in read.marks)
