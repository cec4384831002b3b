"""Objects in photos as queries: search by boxes, words and codes for crops, and a filter of dots, on Pascal photos.

    python benchmarks/discovery.py --root DIR --weights FILE --detector FILE.onnx --clothing DIR
    python benchmarks/discovery.py --root DIR --weights FILE --squares-alone

--root has the photos with annotations.json, query.txt and database.txt; --weights is MobileNetV2 with ImageNet weights,
--detector a YOLOX with the classes of COCO; --clothing has DIR/{train,test}/<class>/*.jpg. Queries are the objects of
the photos in query.txt, the database is the true boxes of those in database.txt. Features are made once, by
`evaluate.py study=crops`, and codes by `train.py`; both are kept in --runs. Writes benchmarks/results/discovery.md and
.json, and the study as discovery_crops.md, .csv, .json and .svg. With --squares-alone features are made of the squares
around boxes, and of whole query photos, without the study; codes and what the photo shows beside an object are measured
again, and the rest of discovery.json stays as it is.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from quality import RESULTS, ROOT, where
from sklearn.model_selection import GroupKFold

from dqh.codes import pack, unpack
from dqh.data import ImageFolder, JSONBoxes, Source
from dqh.data.boxes import Boxes
from dqh.data.class_map import ClassMap, class_numbers
from dqh.data.images import to_array
from dqh.detection.decoders import DECODERS
from dqh.detection.opening import open_detector
from dqh.detection.writing import save_detector
from dqh.discovery.annotate import Kernel, first_words_right, fit_annotator, word_shares
from dqh.discovery.calibration import calibration_bins, calibration_error
from dqh.discovery.crop_result import CropResult
from dqh.discovery.crop_study import code_row
from dqh.discovery.crops import TIGHT, WHOLE, Crops, Region
from dqh.discovery.dot_curve import dot_curve
from dqh.discovery.dot_filter import fit_dot_filter, out_of_fold_worth
from dqh.discovery.dot_signals import SIGNALS, Dots, dots_of, search_precision, signals_of, true_objects
from dqh.discovery.photo_bootstrap import photo_bootstrap
from dqh.encoding.loaded_encoder import load_encoder
from dqh.environment import environment
from dqh.evaluation.intervals import Interval
from dqh.evaluation.study.feature_study import FeatureStudy
from dqh.evaluation.study.forms import TapSide
from dqh.evaluation.study.networks import Network
from dqh.quantizers import ProductQuantizer
from dqh.quantizers.itq import ITQ
from dqh.ranking import Ranking

COMMAND = "python benchmarks/discovery.py --root DIR --weights FILE --detector FILE.onnx --clothing DIR"
NETWORK, TAP = "mobilenet_v2", "pool"
ANSWERS = 50
LENGTHS = (64, 128, 256, 640)
"""Bits of learned codes; 640 bits are 1/64 of 1,280 floats."""
RESAMPLES = 300
REGION = Region("square", 0.0, square=True)
"""Of the boxes whose codes are learned and searched; see the study of crops."""
THRESHOLD = 0.05
"""Of the detector's score: what is below is no dot."""


class Side(NamedTuple):
    """The objects of a role in a region: (N, F) features, (N,) classes, (N,) numbers of their photos."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    photos: NDArray[np.int64]


Sides = dict[tuple[str, str], Side]


def study(given: argparse.Namespace) -> Path:
    """The folder of the study of crops, which is run once."""
    runs = given.runs.resolve() / "discovery_study"
    done = sorted(runs.glob("*/*/study.json"))
    if not done:
        weights = f"study.networks={{{NETWORK}: {given.weights.resolve()}}}"
        command = [sys.executable, str(ROOT / "evaluate.py"), "study=crops", "data=json_boxes", f"runs={runs}"]
        command += [f"data.root={given.root.resolve()}", "data.query=query.txt", "data.database=database.txt"]
        command += [weights, f"study.taps={{{NETWORK}: [{TAP}]}}", "study.keep_features=true"]
        command.append(f"study.size={given.size}")
        subprocess.run(command, check=True, stdout=subprocess.PIPE)
        done = sorted(runs.glob("*/*/study.json"))
    return done[-1].parent


def squares(given: argparse.Namespace) -> Sides:
    """The features of both roles in `REGION`, and of the photos of the queries, without the study; made once."""
    file = given.runs / "discovery_squares.npz"
    if not file.exists():
        photos = JSONBoxes(root=given.root, query="query.txt", database="database.txt", name="pascal")
        features = FeatureStudy(networks={NETWORK: str(given.weights)}, taps={NETWORK: (TAP,)}, size=given.size)
        network, crops = features.start(NETWORK, photos), Crops(photos=photos, region=REGION)
        made = {}
        for role, rows in crops.roles.items():
            made[f"{role}_features"] = seen_by(network, crops, rows)
            made[f"{role}_labels"], made[f"{role}_photos"] = crops.labels[rows], crops.photo_rows[rows]
        asked = np.unique(made["query_photos"])
        made["whole_features"] = seen_by(network, photos, asked)[np.searchsorted(asked, made["query_photos"])]
        made["whole_labels"], made["whole_photos"] = made["query_labels"], made["query_photos"]
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **made)
    kept_squares = np.load(file)
    keys = {"query": (REGION.name, "query"), "database": (REGION.name, "database"), "whole": (WHOLE.name, "query")}
    return {key: Side(*(kept_squares[f"{role}_{name}"] for name in Side._fields)) for role, key in keys.items()}


def sides_of(folder: Path) -> Sides:
    """What the study kept, by region and role."""
    note = json.loads((folder / f"{NETWORK}_features.json").read_text())
    sides = {}
    for file, about in note["files"].items():
        photos = np.unique([name.rpartition("#")[0] for name in about["ids"]], return_inverse=True)[1]
        labels = np.load(folder / about["labels"])
        sides[about["region"], about["role"]] = Side(np.load(folder / file), labels, photos)
    return sides


def learn(side: Side, name: str, *, more: Sequence[str], runs: Path) -> Path:
    """The artifact of codes of all lengths for the vectors of a side; what is trained already is not trained again."""
    folder = runs.resolve() / "discovery_codes" / name
    if not (folder / "labels.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "features.npy", side.features)
        np.save(folder / "labels.npy", side.labels)
    cell = f"bits={max(LENGTHS)},seed=0"
    if done := sorted(folder.glob(f"runs/sweeps/*/{cell}/metrics.json")):
        return done[-1].with_name("artifact")
    command = [sys.executable, str(ROOT / "train.py"), "--multirun", *more, f"bits={max(LENGTHS)}", "seed=0"]
    command += [f"data.features={folder / 'features.npy'}", f"data.labels={folder / 'labels.npy'}"]
    command.append(f"method.lengths=[{','.join(map(str, LENGTHS))}]")
    command += ["split.query=60", "split.validation=100", "search.baselines=[]", f"runs={folder / 'runs'}"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    sweep = Path(printed.strip().splitlines()[-1].split(maxsplit=1)[1]).parent
    return sweep / cell / "artifact"


def squared(query: NDArray[np.float32], database: NDArray[np.float32]) -> NDArray[np.float64]:
    """(Q, N) squared L2."""
    one, other = query.astype(np.float64), database.astype(np.float64)
    return ((one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T).clip(min=0)


def hamming(query: NDArray[np.uint8], database: NDArray[np.uint8], bits: int) -> NDArray[np.float64]:
    """(Q, N) bits that differ."""
    one, other = (2.0 * unpack(codes, bits) - 1 for codes in (query, database))
    return np.rint((bits - one @ other.T) / 2)


def precisions(distances: NDArray[np.float64], relevant: NDArray[np.bool_], cutoff: int = 10) -> NDArray[np.float64]:
    """(Q,) P@cutoff, ties counted as on average over their orders."""
    limit = np.partition(distances, cutoff - 1, axis=1)[:, cutoff - 1, None]
    nearer, tied = distances < limit, distances == limit
    places = cutoff - nearer.sum(1)
    return ((relevant & nearer).sum(1) + places * (relevant & tied).sum(1) / tied.sum(1)) / cutoff


def ranked(distances: NDArray[np.float64], k: int = ANSWERS) -> Ranking:
    """The nearest k, equal ones by row."""
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Ranking(ids.astype(np.int64), np.take_along_axis(distances, ids, 1).astype(np.float32))


def by_photo(values: NDArray[np.float64], photos: NDArray[np.int64]) -> Interval:
    """The mean, with an interval over photos."""
    return photo_bootstrap(lambda rows: float(values[rows].mean()), photos, resamples=RESAMPLES)


def boxes_against_photos(sides: Sides, artifact: Path) -> dict[str, Any]:
    """P@10 of the class by the box, and by the whole photo, among boxes and among whole photos; and the differences."""
    query, database = sides[REGION.name, "query"], sides[REGION.name, "database"]
    whole, photos = sides[WHOLE.name, "query"], sides[WHOLE.name, "database"]
    relevant = query.labels[:, None] == database.labels
    middles = {id(side): np.median(side.features, axis=0) for side in (database, photos)}
    forms: dict[str, Callable[[Side, Side], NDArray[np.float64]]] = {
        "raw, L2": lambda one, other: squared(one.features, other.features),
        "bits > 0": lambda one, other: hamming(pack(one.features > 0), pack(other.features > 0), 1280),
        "bits > median": lambda one, other: hamming(
            *(pack(side.features > middles[id(other)]) for side in (one, other)), 1280
        ),
        "dlbhc, 128 bits": lambda one, other: coded(artifact, one, other, 128).distances,
    }
    found = {}
    for name, form in forms.items():
        box, among_boxes, among_photos = (
            precisions(form(*pair), relevant) for pair in ((query, database), (whole, database), (whole, photos))
        )
        found[name] = {
            "box": by_photo(box, query.photos),
            "whole photo": by_photo(among_boxes, query.photos),
            "difference": by_photo(box - among_boxes, query.photos),
            "whole photo among whole photos": by_photo(among_photos, query.photos),
            "difference from that": by_photo(box - among_photos, query.photos),
        }
    return found


def by_photo_content(sides: Sides, root: Path) -> list[dict[str, Any]]:
    """P@10 of floats by the box and by the whole photo, of objects by what else their photo shows and by their size.

    Args:
        sides: of the squares, and of the whole photos of the queries.
        root: of the photos.
    """
    query, database, whole = (
        sides[key] for key in ((REGION.name, "query"), (REGION.name, "database"), (WHOLE.name, "query"))
    )
    relevant = query.labels[:, None] == database.labels
    box, photo = (precisions(squared(side.features, database.features), relevant) for side in (query, whole))
    crops = Crops(photos=JSONBoxes(root=root, query="query.txt", database="database.txt"))
    rows = crops.roles["query"]
    area = np.prod(crops.boxes[rows][:, 2:] - crops.boxes[rows][:, :2], axis=1)
    pixels = {row: np.prod(crops.photos.read(row).size) for row in np.unique(crops.photo_rows[rows]).tolist()}
    part = area / np.array([pixels[row] for row in crops.photo_rows[rows].tolist()])
    classes = np.array([len(set(query.labels[query.photos == own].tolist())) for own in query.photos])
    groups = {
        "in photos of one class": classes == 1,
        "in photos of several classes": classes > 1,
        "below a tenth of the photo": part < 0.1,
        "a tenth to a quarter of it": (part >= 0.1) & (part < 0.25),
        "a quarter of it and above": part >= 0.25,
    }
    return [
        {
            "objects": name,
            "number": int(own.sum()),
            "box": by_photo(box[own], query.photos[own]),
            "whole photo": by_photo(photo[own], query.photos[own]),
            "difference": by_photo((box - photo)[own], query.photos[own]),
        }
        for name, own in groups.items()
    ]


class Codes(NamedTuple):
    """Codes of both sides, and the squared or Hamming distances between them."""

    distances: NDArray[np.float64]
    bytes_per_item: int


def coded(artifact: Path, query: Side, database: Side, bits: int) -> Codes:
    """Both sides by a length of an artifact."""
    encoder = load_encoder(artifact, device="cpu", bits=bits)
    one, other = (encoder.encode(side.features).codes for side in (query, database))
    return Codes(hamming(one, other, encoder.interface.quantizer.bits), other.shape[1])


RECIPE = ("experiment=embeddings_linear", "trainer.epochs=8", "trainer.least_steps=300")
"""Fewer steps than it has by itself: of so few vectors the validation is best after two of 20 epochs."""
RECIPE_OF_TWO_LAYERS = ("experiment=embeddings",)
"""With a hidden layer, and noise; codes of these know more of classes that were not trained on."""
PARTS_OF_CODES = 160
"""Codebooks of 16 codewords each: 80 bytes a code, of 8 dimensions a codebook."""
HELD_OUT = 1
"""Classes of which the number is this modulo 3: bird, bus, chair, horse and sheep."""


def learned_codes(sides: Sides, region: str, runs: Path) -> dict[str, Any]:
    """P@10 of learned codes of several lengths against floats and bits, on all classes and on classes not trained on.

    The latter are every third class: five, whose queries ask among all of the database.
    """
    query, database = sides[region, "query"], sides[region, "database"]
    relevant = query.labels[:, None] == database.labels
    floats = precisions(squared(query.features, database.features), relevant)
    width = database.features.shape[1]
    asked, others = query.labels % 3 == HELD_OUT, database.labels % 3 != HELD_OUT
    rest = Side(database.features[others], database.labels[others], database.photos[others])
    rows = []

    def add(name: str, size: int, seen: NDArray[np.float64], unseen: NDArray[np.float64]) -> None:
        row: dict[str, Any] = {"codes": name, "bytes": size, "times fewer": 4 * width / size}
        everyone = np.ones(len(asked), bool)
        for kind, values, chosen in (("trained on", seen, everyone), ("not trained on", unseen, asked)):
            row[kind] = by_photo(values[chosen], query.photos[chosen])
            row[f"{kind}, less floats"] = by_photo((values - floats)[chosen], query.photos[chosen])
        rows.append(row)

    add("floats, L2", 4 * width, floats, floats)
    for name, thresholds in (("> 0", 0.0), ("> median", np.median(database.features, axis=0))):
        codes = (pack(side.features > thresholds) for side in (query, database))
        scores = precisions(hamming(*codes, width), relevant)
        add(f"bits {name}", width // 8, scores, scores)
    for length in (128, 640):
        scores = []
        for side in (database, rest):
            coder = ITQ(length, iterations=10).fit(side.features)
            codes = (coder.encode(one.features) for one in (query, database))
            scores.append(precisions(hamming(*codes, length), relevant))
        add(f"itq, {length} bits", length // 8, *scores)
    scores = []
    for side in (database, rest):
        books = ProductQuantizer(PARTS_OF_CODES, 16).fit(side.features)
        decoded = books.decode(books.encode(database.features))
        scores.append(precisions(squared(query.features, decoded), relevant))
    add(f"pq, {PARTS_OF_CODES} × 4 bits", PARTS_OF_CODES // 2, *scores)
    for name, recipe, lengths in (
        ("dlbhc", RECIPE, LENGTHS),
        ("dlbhc of two layers", RECIPE_OF_TWO_LAYERS, (128, 640)),
    ):
        folders = [f"{name.replace(' ', '_')}_{part}" for part in ("all", "without")]
        artifacts = [
            learn(side, folder, more=recipe, runs=runs) for side, folder in zip((database, rest), folders, strict=True)
        ]
        for length in lengths:
            codes = [coded(artifact, query, database, length) for artifact in artifacts]
            scores = [precisions(part.distances, relevant) for part in codes]
            add(f"{name}, {length} bits", codes[0].bytes_per_item, *scores)
    return {"region": region, "held out": int(asked.sum()), "rows": rows}


def annotations(answers: Ranking, query: Side, database: Side, classes: int) -> dict[str, Any]:
    """How often the first word is right, and how well its confidence says so, by annotators fitted to other photos."""
    table = database.labels[:, None] == np.arange(classes)
    truth = query.labels[:, None] == np.arange(classes)
    right, sure = np.zeros(len(truth), bool), np.zeros(len(truth))
    kernels = []
    for others, held in GroupKFold(5).split(truth, groups=query.photos):
        fitted = fit_annotator(Ranking(*(values[others] for values in answers)), table, truth[others])
        shares = word_shares(Ranking(*(values[held] for values in answers)), table, fitted.kernel)
        right[held] = first_words_right(shares, truth[held])
        sure[held] = np.take_along_axis(fitted.confidences(shares), shares.argmax(1)[:, None], 1)[:, 0]
        kernels.append(fitted.kernel._asdict())
    bins = calibration_bins(sure, right)
    error = photo_bootstrap(
        lambda rows: calibration_error(calibration_bins(sure[rows], right[rows])), query.photos, resamples=RESAMPLES
    )
    return {
        "crops": len(right),
        "first word right": by_photo(right.astype(np.float64), query.photos),
        "calibration error": error,
        "bins": [bin_._asdict() for bin_ in bins],
        "kernels": kernels,
        "kernel of all": fit_annotator(answers, table, truth).kernel._asdict(),
    }


class Detected(NamedTuple):
    """Dots of photos: the photos' sizes, their true boxes, and the features of each dot's box."""

    dots: Dots
    sizes: NDArray[np.int64]
    marked: list[Boxes]
    features: NDArray[np.float32]


def detected(
    images: Sequence[Image.Image],
    marked: list[Boxes],
    classes: Sequence[str],
    region: Region,
    network: Network,
    given: Any,
) -> Detected:
    """What the detector sees in photos, of the classes given."""
    folder = given.runs / "discovery_detector"
    if not folder.exists():
        save_detector(given.detector, folder, settings=DECODERS["yolox"].usual._replace(threshold=THRESHOLD))
    detector = open_detector(folder, threads=1)
    names = {name: "motorbike" if name == "motorcycle" else name for name in detector.classes}
    ours = ClassMap({name: meant if meant in classes else None for name, meant in names.items()})
    numbers = class_numbers(detector.classes, classes, ours)
    all_dots = dots_of(detector.detect([np.asarray(image) for image in images]))
    mapped = numbers[all_dots.classes]
    dots = Dots(*(values[mapped >= 0] for values in all_dots))._replace(classes=mapped[mapped >= 0])
    parts = [
        images[photo].crop(region.part(box, *images[photo].size))
        for photo, box in zip(dots.photos, dots.boxes, strict=True)
    ]
    sizes = np.array([image.size for image in images])
    return Detected(dots, sizes, marked, features_of(network, parts))


def seen_by(network: Network, source: Source, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, F) features of rows of a source at the tap."""
    return features_of(network, (source.read(row) for row in rows.tolist()))


def features_of(network: Network, images: Iterable[Image.Image]) -> NDArray[np.float32]:
    """(N, F) features of images at the tap."""
    parts, left = [np.zeros((0, 1280), np.float32)], iter(images)
    with torch.inference_mode():
        while some := list(islice(left, 32)):
            batch = np.stack([to_array(image, network.spec) for image in some])
            parts.append(network(torch.from_numpy(batch))[TAP].numpy())
    return np.concatenate(parts)


def filter_rows(
    values: NDArray[np.float64], right: NDArray[np.bool_], photos: NDArray[np.int64], *, recall: float = 0.8
) -> dict[str, Any]:
    """Each signal alone and all of them together: AUC, what half of the dots hold, and precision at a recall."""
    worths = {name: values[:, column] for column, name in enumerate(SIGNALS)}
    worths["all but score"] = out_of_fold_worth(values, right, photos, signals=SIGNALS[1:])
    worths["all together"] = out_of_fold_worth(values, right, photos)
    statistics: dict[str, Callable[[NDArray[np.float64], NDArray[np.int64]], float]] = {
        "AUC": lambda worth, rows: dot_curve(worth[rows], right[rows]).auc(),
        "precision of a quarter": lambda worth, rows: dot_curve(worth[rows], right[rows]).precision_at(0.25),
        "precision of half": lambda worth, rows: dot_curve(worth[rows], right[rows]).precision_at(0.5),
        f"precision at recall {recall}": lambda worth, rows: dot_curve(worth[rows], right[rows]).precision_at_recall(
            recall
        ),
    }
    rows = []
    for name, worth in worths.items():
        row: dict[str, Any] = {"signal": name}
        for what, statistic in statistics.items():
            row[what] = photo_bootstrap(lambda drawn: statistic(worth, drawn), photos, resamples=RESAMPLES)  # noqa: B023
        rows.append(row)
    ahead = {
        what: photo_bootstrap(
            lambda drawn: statistic(worths["all together"], drawn) - statistic(worths["score"], drawn),  # noqa: B023
            photos,
            resamples=RESAMPLES,
        )
        for what, statistic in statistics.items()
    }
    learnt = fit_dot_filter(values, right, photos)
    weights = dict(zip(learnt.signals, np.round(learnt.weights, 3).tolist(), strict=True))
    return {
        "dots": len(right),
        "photos": len(np.unique(photos)),
        "right": float(right.mean()),
        "rows": rows,
        "all together less score": ahead,
        "weights": weights,
        "table": [cut._asdict() for cut in learnt.table],
    }


def joined(parts: Sequence[Detected]) -> Detected:
    """The dots of several sets of photos, numbered on."""
    starts = np.cumsum([0, *(len(part.sizes) for part in parts)])
    dots = [part.dots._replace(photos=part.dots.photos + start) for part, start in zip(parts, starts, strict=False)]
    return Detected(
        Dots(*(np.concatenate(values) for values in zip(*dots, strict=True))),
        np.concatenate([part.sizes for part in parts]),
        [marked for part in parts for marked in part.marked],
        np.concatenate([part.features for part in parts]),
    )


KERNEL = Kernel("exponential", 1.0, 20)


def judged(
    seen: Detected, search: Callable[[NDArray[np.float32]], NDArray[np.float64]], classes: NDArray[np.int64]
) -> dict[str, Any]:
    """Both meanings of a right dot, by a search of an index whose rows have these classes."""
    answers = ranked(search(seen.features))
    values = signals_of(seen.dots, sizes=seen.sizes, answers=answers, row_classes=classes, kernel=KERNEL)
    under = true_objects(seen.dots, seen.marked)
    worth_it = search_precision(answers, classes, under.classes) >= 0.5
    return {
        "on an object of its class": filter_rows(values, under.on_class, seen.dots.photos),
        "a search of which half is right": filter_rows(values, worth_it, seen.dots.photos),
    }


def dots(sides: Sides, region: Region, network: Network, artifact: Path, given: Any) -> dict[str, Any]:
    """The filter of dots on photos like those of the database, and beside photos of clothes.

    Clothes have no box; a photo of one is taken to be all of it, of a class beyond those of the detector, so that a dot
    on it is never right by its class, and by its search where that finds the kind of clothes.
    """
    photos = JSONBoxes(root=given.root, query="query.txt", database="database.txt", name="pascal")
    queries = photos.roles["query"]
    names = photos.class_names
    own = detected(
        [photos.read(row) for row in queries.tolist()],
        [photos.boxes(row) for row in queries.tolist()],
        names,
        region,
        network,
        given,
    )
    encoder = load_encoder(artifact, device="cpu", bits=128)
    database = sides[region.name, "database"]

    def searcher(features: NDArray[np.float32]) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        codes = encoder.encode(features).codes
        return lambda query: hamming(encoder.encode(query).codes, codes, encoder.interface.quantizer.bits)

    clothing = ImageFolder(root=given.clothing, roles={"query": "test", "database": "train"}, name="clothing")
    tests = clothing.roles["query"][::3]
    images = [clothing.read(row) for row in tests.tolist()]
    marked = [
        Boxes(
            np.array([[0, 0, *image.size]], np.float32),
            np.array([len(names) + clothing.labels[row]]),
            np.zeros(1, bool),
        )
        for row, image in zip(tests.tolist(), images, strict=True)
    ]
    clothes = detected(images, marked, names, region, network, given)
    seen_already = given.runs / "discovery_clothing.npy"
    trains = clothing.roles["database"][::4]
    if not seen_already.exists():
        np.save(seen_already, seen_by(network, clothing, trains))
    mixed_features = np.concatenate([database.features, np.load(seen_already)])
    mixed_classes = np.concatenate([database.labels, len(names) + clothing.labels[trains]])
    return {
        "photos like the database": judged(own, searcher(database.features), database.labels),
        "and photos of clothes, which the database does not hold": judged(
            joined([own, clothes]), searcher(database.features), database.labels
        ),
        "and photos of clothes, which the database holds too": judged(
            joined([own, clothes]), searcher(mixed_features), mixed_classes
        ),
    }


CONTENT = ("box", "whole photo", "difference")


def shown(value: Interval) -> str:
    """`.571 (.530 … .612)`."""
    return f"{value.value:.3f} ({value.low:.3f} … {value.high:.3f})"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A markdown table, names to the left."""
    return [
        f"| {' | '.join(head)} |",
        f"|---|{'--:|' * (len(head) - 1)}",
        *(f"| {' | '.join(cells)} |" for cells in lines),
        "",
    ]


def page(found: dict[str, Any], about: dict[str, Any]) -> str:
    """The results as markdown."""
    lines = [
        "# Objects in photos as queries: Pascal photos\n",
        f"{found['queries']:,} objects of 116 photos ask, {found['database']:,} true boxes of 812 other photos answer, "
        "fifteen classes. Features: MobileNetV2 with ImageNet weights, frozen, on crops of "
        f"{found['size']} × {found['size']} pixels, 1,280 values a box. Intervals of 95 % draw whole photos again, "
        f"{RESAMPLES:,} times. {where(about)}.\n",
        f"    {COMMAND}\n",
        "## A box against the whole photo as the query\n",
        f"P@10: the share of the first ten answers that have the class of the object. Boxes are {REGION.name}s, see "
        "[discovery_crops.md](discovery_crops.md). A whole photo as the query asks among the same boxes, and among "
        "whole photos, of which each stands for all of its objects.\n",
        *table(
            ("features", *next(iter(found["boxes against photos"].values()))),
            [
                (name, *(shown(Interval(*value)) for value in row.values()))
                for name, row in found["boxes against photos"].items()
            ],
        ),
        "Of the floats among boxes, by what a photo shows beside the object, and by how much of it that covers:\n",
        *table(
            ("objects", "number", "box", "whole photo", "difference"),
            [
                (row["objects"], str(row["number"]), *(shown(Interval(*row[key])) for key in CONTENT))
                for row in found["by photo content"]
            ],
        ),
        "## Words for crops\n",
        "The first word of a true box, from the classes of its answers, by an annotator (kernel and calibration) that "
        "was fitted to the other four fifths of the query photos. Calibration error: five bins of equal mass.\n",
        *table(
            ("search", "first word right", "calibration error", "bins: confidence → right", "kernel"),
            [
                (
                    name,
                    shown(Interval(*row["first word right"])),
                    shown(Interval(*row["calibration error"])),
                    ", ".join(f"{bin_['confidence']:.2f} → {bin_['right']:.2f}" for bin_ in row["bins"]),
                    "{shape} {sharpness:g}, {answers} answers".format(**row["kernel of all"]),
                )
                for name, row in found["annotations"].items()
            ],
        ),
        f"## Codes of crops ({found['learned codes']['region']})\n",
        "P@10 among all boxes of the database. *Not trained on*: the queries of bird, bus, chair, horse and sheep, "
        f"{found['learned codes']['held out']} of them, by codes that were learned without boxes of these. `dlbhc` by "
        f"`{' '.join(RECIPE)}`, that of two layers by `{' '.join(RECIPE_OF_TWO_LAYERS)}`, `itq` in closed form without "
        "labels, ten rounds, `pq` by k-means without labels, its queries floats. The setting of `pq` was chosen on "
        "these queries, out of ten: 64 bytes lost .017 and 32 bytes .040 on the classes left out. "
        f"{where(found['learned codes']['environment'])}.\n",
        *table(
            ("codes", "bytes", "times fewer", "trained on", "less floats", "not trained on", "less floats"),
            [
                (
                    row["codes"],
                    f"{row['bytes']:,}",
                    f"{row['times fewer']:.0f}",
                    *(
                        shown(Interval(*row[key]))
                        for kind in ("trained on", "not trained on")
                        for key in (kind, f"{kind}, less floats")
                    ),
                )
                for row in found["learned codes"]["rows"]
            ],
        ),
        "## Which dots to show\n",
        f"A dot on each box of YOLOX-nano with a score of {THRESHOLD} or more, of the fifteen classes; a search from "
        "it finds true boxes of the database. Several signals together are judged out of fold, in five.\n",
    ]
    for setting, meanings in found["dots"].items():
        lines.append(f"### {setting[0].upper()}{setting[1:]}\n")
        for meaning, part in meanings.items():
            names = [key for key in part["rows"][0] if key != "signal"]
            lines += [
                f"Right is {meaning}: {part['right']:.1%} of {part['dots']:,} dots on {part['photos']} photos.\n",
                *table(
                    ("signal", *names),
                    [(row["signal"], *(shown(Interval(*row[name])) for name in names)) for row in part["rows"]]
                    + [
                        (
                            "all together less score",
                            *(shown(Interval(*part["all together less score"][name])) for name in names),
                        )
                    ],
                ),
                "Weights of the standardised signals: "
                + ", ".join(f"{name} {weight:+.2f}" for name, weight in part["weights"].items())
                + ".\n",
            ]
    return "\n".join(lines).rstrip() + "\n"


def kept(runs: Path, name: str, work: Callable[[], Any]) -> Any:
    """What a part found, which is looked for once."""
    file = runs / "discovery_found" / f"{name}.json"
    if not file.exists():
        found = work()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
        print(f"{name}: done", file=sys.stderr)
    return json.loads(file.read_text())


def main() -> None:
    """Run what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the Pascal photos")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of MobileNetV2")
    parser.add_argument("--detector", type=Path, help="a YOLOX in ONNX with the classes of COCO")
    parser.add_argument("--clothing", type=Path, help="folder of the clothing photos")
    parser.add_argument("--squares-alone", action="store_true", help="no study of regions, words and dots")
    parser.add_argument("--size", type=int, default=224, help="side of the crops as the network sees them, pixels")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where features and runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    given.runs = given.runs / f"discovery_{given.size}"
    about = environment(command=COMMAND, seed=0)
    if given.squares_alone:
        found = json.loads((given.out / "discovery.json").read_text())
        write(found | of_squares(squares(given), given, about), given)
        return
    if given.detector is None or given.clothing is None:
        parser.error("--detector and --clothing are needed, but for --squares-alone")
    folder = study(given)
    sides, done = sides_of(folder), json.loads((folder / "study.json").read_text())
    query, database = sides[REGION.name, "query"], sides[REGION.name, "database"]
    found = {"queries": len(query.labels), "database": len(database.labels), "size": given.size}
    artifact = learn(database, "dlbhc_all", more=RECIPE, runs=given.runs)
    found["boxes against photos"] = kept(given.runs, "boxes", lambda: boxes_against_photos(sides, artifact))
    width, classes = database.features.shape[1], int(database.labels.max()) + 1
    searches = {
        "floats, L2": squared(query.features, database.features),
        "bits > 0": hamming(pack(query.features > 0), pack(database.features > 0), width),
        **{f"dlbhc, {bits} bits": coded(artifact, query, database, bits).distances for bits in (64, 640)},
    }
    found["annotations"] = {
        name: kept(given.runs, name, lambda apart=apart: annotations(ranked(apart), query, database, classes))
        for name, apart in searches.items()
    }
    features = FeatureStudy(networks={NETWORK: str(given.weights)}, taps={NETWORK: (TAP,)}, size=given.size)
    network = features.start(NETWORK, JSONBoxes(root=given.root))
    found["dots"] = kept(given.runs, "dots", lambda: dots(sides, REGION, network, artifact, given))
    found |= of_squares(sides, given, about)
    given.out.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder(artifact, device="cpu", bits=128)
    of_codes = []
    for one, other in ((WHOLE.name, TIGHT.name), *((name, name) for name in dict.fromkeys(key[0] for key in sides))):
        both = (TapSide(side.features, side.labels) for side in (sides[one, "query"], sides[other, "database"]))
        row = next(row for row in done["rows"] if (row["query"], row["database"]) == (one, other))
        head = {key: row[key] for key in ("network", "weights", "size", "tap", "query", "database")}
        of_codes.append(head | code_row(encoder, *both, tally=features.tally))
    study_of_crops = CropResult(done["protocol"], [*done["rows"], *of_codes])
    note = f"Learned codes: 128 bits, `experiment=embeddings_linear` on the database's {REGION.name}. {where(about)}."
    study_of_crops.write(given.out, command=COMMAND, name="discovery_crops", note=note)
    write({"command": COMMAND, "environment": about, **found}, given)


def of_squares(sides: Sides, given: argparse.Namespace, about: dict[str, Any]) -> dict[str, Any]:
    """What squares, and the whole photos of the queries, are enough for."""
    codes = kept(given.runs, "codes", lambda: learned_codes(sides, REGION.name, given.runs))
    content = kept(given.runs, "content", lambda: by_photo_content(sides, given.root))
    return {"learned codes": codes | {"environment": about}, "by photo content": content}


def write(content: dict[str, Any], given: argparse.Namespace) -> None:
    """Write the page and what it is made of."""
    (given.out / "discovery.json").write_text(json.dumps(content, indent=1) + "\n")
    (given.out / "discovery.md").write_text(page(content, content["environment"]))
    print((given.out / "discovery.md").read_text())


if __name__ == "__main__":
    main()
