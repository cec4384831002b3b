"""`dqh search`."""

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.collection import index_images, search_images
from dqh.export.artifact.forms import export_forms
from dqh.index.engines import ENGINES
from dqh.index.engines.engine import ExactEngine
from dqh.index.store.where import NUMBERS, TEXTS
from dqh.index.ways import WAYS, CodeWay
from dqh.index.ways.hamming import Hamming
from dqh.quantizers import ProductQuantizer
from dqh.quantizers.quantizer import Coder
from dqh.ranking import Ranking
from dqh.terminal import cut, width
from dqh.verbs.search import file_of
from tests.artifact.conftest import images, make_kind
from tests.collection.seer import Seer, photo, photos


@pytest.fixture
def index(artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> Path:
    assert dqh("index", artifact, folder(4), "--out", tmp_path / "index", "--device", "cpu")[0] == 0
    return tmp_path / "index"


def test_answers_as_text_json_and_picture(index: Path, folder: Callable[[int], Path], dqh: Callable) -> None:
    query, plot = folder(4) / "b" / "1.png", index.parent / "out.png"
    status, out, err = dqh("search", index, query, "-k", 2, "--plot", plot)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == str(query)
    assert lines[2].split() == ["1", "0", "0", "b", "b/1.png"]
    assert len(lines) == 4
    assert "engine hamming" in err
    assert "milliseconds: open " in err
    assert plot.read_bytes().startswith(b"\x89PNG")
    status, out, _ = dqh("search", index, query, "--json", "--radius", 0, "--where", "label = 'b'")
    found = json.loads(out)
    assert (status, found["rule"]) == (0, "all within 0 by code")
    assert found["queries"][0]["hits"][0]["file"] == str(query)


@pytest.mark.slow
@pytest.mark.parametrize("k", [5, 10**12, 10**30])
def test_more_answers_than_the_index_has_rows(
    k: int, index: Path, folder: Callable[[int], Path], dqh: Callable
) -> None:
    for more in ((), ("--radius", 99), ("--pool", k)):
        status, out, _ = dqh("search", index, folder(4) / "a" / "0.png", "-k", k, "--json", *more)
        assert (status, len(json.loads(out)["queries"][0]["hits"])) == (0, 4)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("-k", "0"), 2, "wanted a whole number from 1, got '0'"),
        (("-k", "9", "--pool", "3"), 2, "--pool must be at least -k, got --pool 3 and -k 9"),
        (("--pool", "3", "--radius", "3"), 2, "not allowed with argument"),
        (("--radius", "-1"), 2, "radius must be at least 0"),
        (("--radius", "nan"), 2, "wanted a number, got 'nan'"),
        (("--radius", "-1e300"), 2, "radius must be at least 0"),
        (("--radius", "-inf"), 2, "wanted a number, got '-inf'"),
        (("--box", "-1,0,9,9"), 2, "pixels, got '-1,0,9,9'"),
        (("--where", "label ="), 2, "filter:"),
        (("--box", "5,5,5,9"), 2, "wanted X0,Y0,X1,Y1"),
        (("--box", "0,0,99,9"), 2, "the box 0,0,99,9 does not lie in its 24 × 20 pixels"),
        (("--plot", "out.jpg"), 2, "--plot must name a .png file"),
        (("--plot", "none/out.png"), 2, "--plot none/out.png: there is no folder none; make it first"),
        (("--device", "nope"), 2, "device must be cpu, cuda or cuda:N, got 'nope'"),
        (("--engine", "aqd"), 2, "engine must be auto or one of"),
        (("--artifact", "none"), 2, "no artifact at none"),
        (("--runtime", "onnx"), 1, "has no encoder.onnx; write it: dqh export"),
        (("--runtime", "tvm"), 2, "invalid choice: 'tvm'"),
        (("none.jpg",), 2, "none.jpg' cannot be used"),
    ],
)
def test_usage(
    arguments: tuple[str, ...],
    status: int,
    message: str,
    index: Path,
    folder: Callable[[int], Path],
    dqh: Callable,
) -> None:
    found, out, err = dqh("search", index, folder(4) / "a" / "0.png", *arguments)
    assert (found, out) == (status, "")
    assert message in err


def test_links_to_nothing_are_told(index: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> None:
    link, query = tmp_path / "link", folder(4) / "b" / "1.png"
    link.symlink_to("nowhere")
    message = f"{link} is a symbolic link to 'nowhere', where nothing is; make that folder, or remove the link"
    status, _, err = dqh("search", index, query, "--plot", link / "out.png")
    assert (status, message in err) == (2, True)
    status, _, err = dqh("search", link, query)
    assert (status, err.strip()) == (2, f"no index at {link}: {message}")


def test_codes_alone_rank_where_asked_for(index: Path, folder: Callable[[int], Path], dqh: Callable) -> None:
    query, plot = folder(4) / "b" / "1.png", index.parent / "out.png"
    status, out, err = dqh("search", index, query, "-k", 2, "--rank", "codes", "--plot", plot)
    lines = out.splitlines()
    assert (status, lines[1].split(), lines[2].split()) == (
        0,
        ["rank", "code", "label", "path"],
        ["1", "0", "b", "b/1.png"],
    )
    assert "ranked by codes alone, as asked for" in err
    assert plot.is_file()
    assert json.loads(dqh("search", index, query, "--json", "--rank", "codes")[1])["rank"] == "codes"
    assert dqh("search", index, query, "--rank", "codes", "--pool", 20)[0] == 2


def test_a_picture_that_cannot_be_written_costs_no_answer(
    index: Path, folder: Callable[[int], Path], dqh: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    plot = index.parent / "out.png"
    monkeypatch.setattr("os.fsync", full)
    status, out, err = dqh("search", index, folder(4) / "b" / "1.png", "-k", 1, "--plot", plot)
    assert (status, len(out.splitlines())) == (1, 3)
    assert f"{plot}: No space left on device" in err
    assert not plot.exists()


def test_a_name_breaks_no_line_and_is_whole_as_json(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(1)
    odd = root / "a" / "x\x1b[2J\ny.png"
    (root / "a" / "0.png").rename(odd)
    assert dqh("index", artifact, root, "--out", tmp_path / "index", "--device", "cpu")[0] == 0
    assert json.loads(dqh("search", tmp_path / "index", odd, "--json")[1])["queries"][0]["query"] == str(odd)
    for terminal in (False, True):
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda self, terminal=terminal: terminal)
        out = dqh("search", tmp_path / "index", odd)[1]
        assert (out.count(r"x\x1b[2J\ny.png"), len(out.splitlines()), "\x1b" in out) == (2, 3, False)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["short", "a label longer than fourteen letters", "日本語のラベル", "l" * 300])
def test_labels_of_any_length_keep_the_columns(
    label: str, artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable
) -> None:
    root = folder(2)
    (root / "b").rename(root / label[:200])
    assert dqh("index", artifact, root, "--out", tmp_path / "index", "--device", "cpu")[0] == 0
    _, head, *lines = dqh("search", tmp_path / "index", root / "a" / "0.png", "-k", 2)[1].splitlines()
    paths = ("a/0.png", f"{label[:200]}/1.png")
    starts = {width(line.removesuffix(path)) for line in lines for path in paths if line.endswith(path)}
    assert starts == {head.index("path")}
    assert head.index(" path") < 80
    assert any(cut(label[:200], 40) in line for line in lines)


def test_help_names_every_engine_way_and_column(dqh: Callable) -> None:
    words = re.split(r"[\s,;:]+", dqh("search", "--help")[1])
    by_codes = {way.name for way in WAYS.values() if isinstance(way, CodeWay)}
    assert {*ENGINES, *by_codes, *NUMBERS, *TEXTS} <= set(words)


WORDS = """
import sys
from dqh.cli import main
for words in {all_words!r}:
    main(words)
print("loaded", *sys.modules)
"""


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        pytest.param("binary", [{"rank": "fine"}, {"rank": "codes"}], marks=pytest.mark.slow),
        ("pq", [{"rank": "fine"}, {"rank": "codes", "way": "aqd_cosine"}, {"rank": "codes", "way": "sqd_l2"}]),
    ],
)
def test_with_the_onnx_form_torch_is_not_loaded(
    kind: str, asked: list[dict[str, str]], folder: Callable[[int], Path], tmp_path: Path
) -> None:
    """In a process of its own, which makes an index and searches another; a few images need no processes that decode.

    The answers are those of this process, where torch is loaded and computes what it can.
    """
    whole = make_kind("binary")
    if kind == "pq":
        books = np.random.default_rng(0).random((3, 16, 4)).astype(np.float32)
        whole = Artifact(**{**vars(whole), "quantizer": ProductQuantizer.from_codebooks(books)})
    artifact, index, query = tmp_path / "artifact", tmp_path / "index", folder(9) / "a" / "2.png"
    save_artifact(whole, artifact, golden=golden_files(whole, images()))
    export_forms(artifact, ["onnx"])
    index_images(artifact, [folder(9)], index, device="cpu")
    onnx = ["--runtime", "onnx", "--json"]
    all_words = [["index", str(artifact), str(folder(9)), "--out", str(tmp_path / "other"), *onnx]]
    for options in asked:
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        all_words.append(["search", str(index), str(query), *words, *onnx])
    program = WORDS.replace("{all_words!r}", repr(all_words))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    made, *told, loaded = done.stdout.splitlines()
    assert {"dqh.cli", "dqh.data.store"} <= set(loaded.split())
    assert {"torch", "sklearn", "scipy", "matplotlib", "onnxruntime"}.isdisjoint(loaded.split())
    assert json.loads(made)["added"] == 9
    for options, line in zip(asked, told, strict=True):
        hits = search_images(index, [query], runtime="onnx", **options).found.hits[0]
        found = [(hit["id"], hit["code_distance"], hit["distance"]) for hit in json.loads(line)["queries"][0]["hits"]]
        assert found == [(hit.id, hit.code_distance, hit.distance) for hit in hits]
        assert len(found) == 9


class Nearly(Hamming):
    """By bits, with half of one added to every distance."""

    name, distance, engine = "nearly", "almost", "nearly"

    def index(self, quantizer: Coder, codes: np.ndarray) -> ExactEngine:
        return NearlyScan(super().index(quantizer, codes))


class NearlyScan(ExactEngine):
    name = "nearly"

    def __init__(self, scan: ExactEngine) -> None:
        self.scan = scan

    def search(self, embeddings: np.ndarray, k: int) -> Ranking:
        return self._more(self.scan.search(embeddings, k))

    def within(self, embeddings: np.ndarray, radius: float) -> Ranking:
        return self._more(self.scan.within(embeddings, radius - 0.5))

    def _more(self, ranking: Ranking) -> Ranking:
        return ranking._replace(distances=ranking.distances + np.float32(0.5))


def test_a_new_way_is_asked_for_by_its_name(
    index: Path, folder: Callable[[int], Path], dqh: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WAYS, "nearly", Nearly())
    assert dqh("search", "--help")[1].count("nearly") == 3  # the way, its engine, and what the engine is for
    query = folder(4) / "b" / "1.png"
    for rank in (("--rank", "codes"), ("--rank", "fine"), ("--radius", 0.5), ("--where", "label = 'b'")):
        status, out, err = dqh("search", index, query, "-k", 2, "--way", "nearly", "--json", *rank)
        assert status == 0, err
        found = json.loads(out)
        assert found["engine"] == "nearly"
        assert found["queries"][0]["hits"][0]["code_distance"] == 0.5
    status, _, err = dqh("search", index, query, "--way", "aqd_l2")
    assert status == 2
    assert "way must be one of binary, nearly for these codes, got 'aqd_l2'" in err
    status, _, err = dqh("search", index, query, "--way", "nearly", "--engine", "binary_ivf")
    assert status == 2
    assert "engine must be auto or one of nearly for these codes by the way nearly, got 'binary_ivf'" in err


def test_objects_and_dots(artifact: Path, tmp_path: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object under the dot finds itself, with class, score and box; a picture has both boxes."""
    root, index, plot = photos(tmp_path / "photos"), tmp_path / "index", tmp_path / "out.png"
    monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
    index_images(artifact, [root], index, objects=Seer(), device="cpu")
    both = root / "a" / "both.png"
    status, out, _ = dqh("search", index, both, "--dot", "9,9", "--objects", "--plot", plot)
    _, head, first, *_ = out.splitlines()
    assert status == 0
    assert head.split() == ["rank", "code", "fine", "object", "label", "path"]
    rank, code, _, *words = first.split()
    assert (rank, code, words) == ("1", "0", ["red", "0.90", "2,3,20,30", "a", "a/both.png"])
    assert head.index("label") == first.index(" a  ") + 1
    assert plot.is_file()
    query = photo(tmp_path / "query.png", 5, blue=(4, 4, 40, 40))
    (tmp_path / "seer").mkdir()
    arguments = ("--objects", "--where", "object = 'blue' and score > .2", "--json")
    status, out, _ = dqh("search", index, query, "--dot", "9,9", "--detector", tmp_path / "seer", *arguments)
    found = json.loads(out)
    assert (status, found["note"], found["queries"][0]["box"]) == (0, "", [4, 4, 40, 40])
    (hit,) = found["queries"][0]["hits"]
    assert (hit["object"], hit["box"], hit["file"]) == ("blue", [0, 0, 9, 40], str(root / "b" / "small.png"))
    status, out, err = dqh("search", index, both, "--objects", "--where", "object = 'dog'")
    assert (status, len(out.splitlines())) == (0, 2)
    assert "nothing found: no object fits the filter; the index has objects of blue, green, red" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--dot", "5"), 2, "wanted X,Y with 0 ≤ X and 0 ≤ Y, pixels, got '5'"),
        (("--dot", "-1,5"), 2, "wanted X,Y with"),
        (("--dot", "5,5", "--box", "0,0,9,9"), 2, "not allowed with argument"),
        (("--dot", "99,5"), 2, "the dot 99,5 lies outside its 24 × 20 pixels"),
        (("--dot", "5,5"), 2, "was made without objects, and no detector is named; name one: --detector DETECTOR"),
        (("--detector", "none"), 2, "--detector finds what is under --dot X,Y; give both, or neither"),
        (("--dot", "5,5", "--detector", "none"), 2, "none"),
        (("--objects",), 2, "has no objects, it was made without a detector"),
    ],
)
def test_usage_of_objects(
    arguments: tuple[str, ...],
    status: int,
    message: str,
    index: Path,
    folder: Callable[[int], Path],
    dqh: Callable,
) -> None:
    found, out, err = dqh("search", index, folder(4) / "a" / "0.png", *arguments)
    assert (found, out) == (status, "")
    assert message in err


def test_the_file_of_an_answer_outside_the_root() -> None:
    """`..` goes by the letters of the root: it may be a link."""
    assert file_of("../more/b.png", "/data/photos") == "/data/more/b.png"
    assert file_of("a/b.png", "s3://bucket/photos") == "s3://bucket/photos/a/b.png"
    assert file_of("s3://other/b.png", "/data/photos") == "s3://other/b.png"
