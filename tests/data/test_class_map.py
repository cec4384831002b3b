import pytest

from dqh.data import class_map as module
from dqh.data.class_map import LEFT_OUT, ClassMap, class_numbers, read_class_map
from dqh.errors import DataError


def written(tmp_path, text):
    file = tmp_path / "map.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_names_become_others_stay_or_are_left_out(tmp_path):
    text = '\ufeffmotorcycle,motorbike\r\n\n"dining table, round", table\nzebra,\nmotorcycle,motorbike\n'
    names = read_class_map(written(tmp_path, text))
    assert [names(name) for name in ("motorcycle", "dining table, round", "zebra", "cow", "motorbike")] == [
        "motorbike",
        "table",
        None,
        "cow",
        "motorbike",
    ]
    assert names.file == str(tmp_path / "map.csv")


def test_names_are_mapped_once(tmp_path):
    assert read_class_map(written(tmp_path, "a,b\nb,c"))("a") == "b"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\na", r"map\.csv:2: 1 column, wanted 2; a line is `NAME,NAME HERE`.*: 'a'"),
        ("a,b,c", "1: 3 columns, wanted 2"),
        (",b", "1: no name before the comma"),
        ("a,b\n\na,c", r"3: 'a' is 'c', but 'b' in line 1"),
        ('"a,b', "1: no line of a CSV file"),
        (b"caf\xe9,b", "is no UTF-8 .* at byte 3"),
        ("\n \n", "maps no class"),
    ],
)
def test_lines_that_are_wrong(tmp_path, text, match):
    with pytest.raises(DataError, match=match):
        read_class_map(written(tmp_path, text))


def test_all_that_is_wrong_is_told_together(tmp_path):
    with pytest.raises(DataError) as caught:
        read_class_map(written(tmp_path, "a\n" * 10 + "b,c\n,d"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 9
    assert lines[-1] == "and 3 more"


def test_files_that_are_missing_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"class map not found: looked for .*map\.csv; a line is `NAME,NAME HERE`"):
        read_class_map(tmp_path / "map.csv")
    monkeypatch.setattr(module, "MAX_BYTES", 3)
    with pytest.raises(DataError, match="more than 3 bytes; is it a class map"):
        read_class_map(written(tmp_path, "a,b\n"))


def test_numbers_of_another_vocabulary():
    names = ClassMap({"motorcycle": "motorbike", "zebra": None})
    found = class_numbers(["zebra", "motorcycle", "cow"], ["cow", "motorbike"], names)
    assert found.tolist() == [LEFT_OUT, 1, 0]
    assert class_numbers(["b", "a"], ["a", "b"]).tolist() == [1, 0]


def test_unknown_names_are_told_together_with_the_nearest():
    with pytest.raises(DataError) as caught:
        class_numbers(["cow", "motorcycle", "x"], ["cow", "motorbike"], ClassMap({"x": "cowe"}, "map.csv"))
    assert str(caught.value).splitlines() == [
        "2 classes of the detector are none of the 2 wanted (cow, motorbike):",
        "  'motorcycle'; did you mean 'motorbike'?",
        "  'x', mapped to 'cowe'; did you mean 'cow'?",
        "map them in map.csv (a line is `NAME,NAME HERE`, or `NAME,` to leave a class out), or add them to classes",
    ]
