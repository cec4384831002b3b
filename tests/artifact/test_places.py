"""Where files may lie."""

import pytest

from dqh.artifact.places import OF_ARTIFACT, OF_INDEX, form_of, misplaced, most_bytes
from dqh.export.artifact.forms import FORMS
from dqh.export.index import FORMS as FORMS_OF_INDEX


def test_every_form_has_its_places() -> None:
    assert set(OF_ARTIFACT) == {"", *FORMS}
    assert set(OF_INDEX) == {"", *FORMS_OF_INDEX}


@pytest.mark.parametrize(
    ("file", "form"),
    [("split.json", ""), ("golden/image.jpg", ""), ("encoder.onnx", "onnx"), ("triton/encoder/1/model.onnx", "triton")],
)
def test_a_file_belongs_to_the_form_of_its_place(file: str, form: str) -> None:
    assert form_of(file, OF_ARTIFACT) == form
    assert misplaced(file, form, OF_ARTIFACT) is None


@pytest.mark.parametrize(
    "file", ["", ".", "..", "golden", "golden/", "golden/../x", "faiss/a\0b", "faiss\\a", "/faiss/a"]
)
def test_names_that_have_no_place(file: str) -> None:
    with pytest.raises(ValueError, match="has no place"):
        form_of(file, OF_ARTIFACT)


def test_what_is_held_in_memory_is_bounded() -> None:
    assert most_bytes("golden/inputs.npy") == 2**31 < most_bytes("split.json") < most_bytes("encoder.safetensors")
