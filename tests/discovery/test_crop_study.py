"""The study of crops on small photos, by colour histograms and a random network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.data import Digits, Protocol
from dqh.discovery.crop_result import CropResult
from dqh.discovery.crop_study import CropStudy, regions_of, study_crops
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import ConfigError, LeakError
from dqh.models import Encoder, HashHead, Identity
from tests.artifact.conftest import images, make
from tests.discovery.conftest import boxes_of, draw_photos

HISTOGRAM = {"colour_histogram": None}


def studied(study: CropStudy, root: Path, folder: Path, **more: Any) -> list[CropResult]:
    source = boxes_of(root)
    split = Protocol("given").draw(source)
    return list(
        study_crops(study, source, split, device=torch.device("cpu"), skipped_file=folder / "skipped.csv", **more)
    )


@pytest.fixture(scope="module")
def result(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> CropResult:
    folder = tmp_path_factory.mktemp("study")
    study = CropStudy(networks=HISTOGRAM, size=16, precision_cutoffs=(1, 5))
    return studied(study, squares, folder)[-1]


def score(result: CropResult, query: str, database: str, form: str = "raw", distance: str = "L2") -> float:
    wanted = {"query": query, "database": database, "form": form, "distance": distance}
    (row,) = (row for row in result.rows if all(row[key] == value for key, value in wanted.items()))
    return float(row["P@5"])


def test_regions() -> None:
    regions = regions_of([0.0, 0.15, 0.3, 0.15], square=True)
    assert [(region.name, region.margin, region.square) for region in regions] == [
        ("whole photo", None, False),
        ("box", 0.0, False),
        ("box + 15 %", 0.15, False),
        ("box + 30 %", 0.3, False),
        ("square", 0.0, True),
        ("square + 15 %", 0.15, True),
        ("square + 30 %", 0.3, True),
    ]
    assert [region.name for region in regions_of([], square=False)] == ["whole photo", "box"]


def test_a_box_finds_its_colour_and_a_whole_photo_does_not(result: CropResult, squares: Path) -> None:
    """A box is of one colour and nothing else, so that its histogram finds only boxes of that colour."""
    assert score(result, "box", "box") == 1.0
    assert score(result, "whole photo", "box") < 0.8
    assert score(result, "whole photo", "whole photo") < 0.8
    assert score(result, "box + 15 %", "box + 15 %") > score(result, "whole photo", "whole photo")
    labels = boxes_of(squares).labels
    assert labels.any(axis=0).all()  # all colours are there


def test_rows_and_protocol(result: CropResult) -> None:
    pairs = [
        ("whole photo", "box"),
        *((name, name) for name in ("whole photo", "box", "box + 15 %", "square", "square + 15 %")),
    ]
    forms = [("raw", "L2"), ("raw", "L1"), ("> 0", "Hamming"), ("> median", "Hamming")]
    assert [(row["query"], row["database"], row["form"], row["distance"]) for row in result.rows] == [
        (*pair, *form) for pair in pairs for form in forms
    ]
    assert {row["tap"] for row in result.rows} == {"rgb512"}
    sizes = {"query": 16, "database": 44, "query_photos": 8, "database_photos": 22}
    assert {name: result.protocol[name] for name in sizes} == sizes
    assert result.protocol["random_order"]["P@5"] == pytest.approx(1 / 3, abs=0.15)


def test_a_whole_photo_stands_for_each_of_its_objects(squares: Path, tmp_path: Path) -> None:
    """The features of the whole photo, kept, are those of a plain histogram of it, once for each object."""
    study = CropStudy(networks=HISTOGRAM, size=16, margins=(), square=False, keep_features=True)
    studied(study, squares, tmp_path)
    note = json.loads((tmp_path / "colour_histogram_features.json").read_text())
    files = {(about["region"], about["role"]): (file, about) for file, about in note["files"].items()}
    assert len(files) == 4
    file, about = files["whole photo", "database"]
    values, labels = np.load(tmp_path / file), np.load(tmp_path / about["labels"])
    assert values.shape == (44, 512)
    assert about["ids"][:2] == ["08.png#0", "08.png#1"]
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    said = json.loads((squares / "annotations.json").read_text())
    names = [box[0] for image in said["images"][8:] for box in image["boxes"]]
    assert [note["classes"][label] for label in labels] == names
    box_file, _ = files["box", "database"]
    assert (np.load(tmp_path / box_file) == 1).any(axis=1).all()  # all of a box is of one colour


def test_what_is_done_is_known_after_each_network(squares: Path, tmp_path: Path) -> None:
    study = CropStudy(networks={**HISTOGRAM, "small_resnet": None}, size=16, margins=(), square=False)
    first, second = studied(study, squares, tmp_path)
    assert list(second.rows[: len(first.rows)]) == list(first.rows)
    assert {row["network"] for row in second.rows} == {"colour_histogram", "small_resnet"}


def test_a_photo_that_cannot_be_read_is_left_out_and_listed(tmp_path: Path) -> None:
    root = draw_photos(tmp_path, photos=12, queries=4)
    (root / "05.png").write_bytes(b"no image")
    (root / "out").mkdir()
    source = boxes_of(root)
    source.max_bad_fraction = 0.1
    (result,) = study_crops(
        CropStudy(networks=HISTOGRAM, size=16, margins=(), square=False),
        source,
        Protocol("given").draw(source),
        device=torch.device("cpu"),
        skipped_file=root / "out" / "skipped.csv",
    )
    assert result.protocol["database"] == 14
    assert "05.png" in (root / "out" / "skipped.csv").read_text()


def test_a_query_photo_in_the_database_stops_the_study(tmp_path: Path) -> None:
    root = draw_photos(tmp_path, photos=12, queries=4)
    (root / "11.png").write_bytes((root / "00.png").read_bytes())
    study = CropStudy(networks=HISTOGRAM, size=16, margins=(), square=False)
    with pytest.raises(LeakError):
        studied(study, root, tmp_path)
    assert studied(study, root, tmp_path, allow_duplicates=True)[0].protocol["duplicates"] == 1


def test_classes_that_never_meet(tmp_path: Path) -> None:
    root = draw_photos(tmp_path, photos=4, queries=2)
    said = json.loads((root / "annotations.json").read_text())
    for number, image in enumerate(said["images"]):
        image["boxes"] = [["red" if number < 2 else "blue", *box[1:]] for box in image["boxes"]]
    (root / "annotations.json").write_text(json.dumps(said))
    study = CropStudy(networks=HISTOGRAM, size=16)
    with pytest.raises(ConfigError, match="none of the 4 database objects is of the class of any of the 4 queries"):
        studied(study, root, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (
            {"networks": {"colour_histogramm": None}},
            ["no network 'colour_histogramm'; did you mean 'colour_histogram'"],
        ),
        ({"networks": HISTOGRAM, "margins": (-0.1,)}, ["margins must be numbers of at least 0, .* got -0.1"]),
        (
            {"networks": {"identity": None}, "margins": ("wide",), "precision_cutoffs": (0,)},
            ["got 'wide'", "identity takes vectors, and crops are images", "precision_cutoffs must be"],
        ),
    ],
)
def test_settings_that_cannot_be(arguments: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        CropStudy(**arguments)
    for message in messages:
        assert caught.match(message)


def test_data_without_boxes() -> None:
    with pytest.raises(ConfigError, match="data: digits has no boxes; a study of crops wants annotated photos"):
        CropStudy(networks=HISTOGRAM).require_source(Digits())


def vector_artifact(folder: Path) -> Path:
    """Codes of 12 bits for histograms of 512 colours; the untrained layer is spread so that bits differ."""
    torch.manual_seed(0)
    encoder = Encoder(Identity(size=512), HashHead(512, 12)).eval()
    with torch.no_grad():
        encoder.head.linear.weight *= 50
    artifact = Artifact(**{**vars(make()), "encoder": encoder})
    save_artifact(
        artifact, folder, golden=golden_files(artifact, np.random.default_rng(0).random((4, 512), np.float32))
    )
    return folder


def test_codes_of_an_artifact_are_a_form(squares: Path, tmp_path: Path) -> None:
    """P@5 of the box equals nested loops over the bits of the features that were kept, ties counted by their share."""
    path = vector_artifact(tmp_path / "artifact")
    study = CropStudy(networks=HISTOGRAM, size=16, margins=(), square=False, codes=str(path), keep_features=True)
    (result,) = studied(study, squares, tmp_path)
    learned = [row for row in result.rows if row["form"] == "learned"]
    assert [(row["query"], row["database"], row["distance"], row["bytes_per_item"]) for row in learned] == [
        (*pair, "Hamming", 2) for pair in (("whole photo", "box"), ("whole photo", "whole photo"), ("box", "box"))
    ]
    encoder, bits, labels = load_encoder(path, device="cpu"), {}, {}
    for role in ("query", "database"):
        values = np.load(tmp_path / f"colour_histogram_box_{role}_rgb512.npy")
        bits[role] = np.unpackbits(encoder.encode(values).codes, axis=1)
        labels[role] = np.load(tmp_path / f"colour_histogram_box_{role}_labels.npy")
    total = 0.0
    for code, label in zip(bits["query"], labels["query"], strict=True):
        apart, relevant = (bits["database"] != code).sum(1), labels["database"] == label
        limit = np.sort(apart)[4]
        nearer, tied = apart < limit, apart == limit
        total += (relevant[nearer].sum() + (5 - nearer.sum()) * relevant[tied].mean()) / 5
    assert learned[-1]["P@5"] == pytest.approx(total / len(bits["query"]))


def test_an_artifact_for_images_is_refused(tmp_path: Path) -> None:
    save_artifact(artifact := make(), tmp_path / "artifact", golden=golden_files(artifact, images()))
    with pytest.raises(
        ConfigError, match=r"codes: .* encodes images; give an artifact that was trained by data=features"
    ):
        CropStudy(networks=HISTOGRAM, codes=str(tmp_path / "artifact"))
