"""Fixed against dynamic ratios of a blend: `dqh.discovery.lens` on Pascal and clothing photos with noisy tags.

    python benchmarks/lens.py --data DIR --runs DIR

DIR of --data holds pascal/ (photos, annotations.json, query.txt, train.txt, database.txt),
clothing/{train,validation,test}/<class>/*.jpg and weights/{mobilenet_v2_imagenet.pt,yolox_nano.onnx}. Made once and
kept in --runs: the artifact (`method=itq`, 128 bits over MobileNetV2, fitted to pascal/train.txt), an index of each
data set without labels, with the objects that YOLOX-nano sees, and what every source answers to every query.

Tags: of 30 % of the images, drawn by a seed, each label becomes a tag with the probability .8, and a label that is
wrong joins them with the probability .4; an image that is left without any gets a wrong one. So tags are what somebody
said, and labels are what is relevant: no source reads these. An image is relevant that shares a label with the query;
its grade is the number of labels that they share.

Queries: of Pascal query.txt, of clothing test. What is fitted and chosen is of other photos, 150 that are drawn from
Pascal's database.txt and are not in the index, and clothing validation: one half fits the annotator, the other chooses
the fixed ratios here, and chose the table that comes with the package, by the tags of three other seeds. Values are
means over the seeds; differences are drawn again over queries. Writes benchmarks/results/lens.json and lens.md.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import ir_measures
import numpy as np
from neighbours import busy_cores, in_words
from numpy.typing import NDArray
from quality import RESULTS, ROOT, where

from dqh.collection import absolute
from dqh.detection.opening import open_detector
from dqh.detection.writing import save_detector
from dqh.discovery.annotate import Annotator, fit_annotator, weighted_word_table
from dqh.discovery.answer_rows import AnswerRows, words_of
from dqh.discovery.blend import RANK, SourceHit, blend
from dqh.discovery.blend_rules import SOURCES, BlendRules, fixed_rules, read_rules
from dqh.discovery.calibration import calibration_bins, calibration_error
from dqh.discovery.lens import Lens, open_lens
from dqh.discovery.lens_answer import STAGES
from dqh.environment import environment
from dqh.evaluation.graded import ndcg
from dqh.evaluation.intervals import Interval, bootstrap, paired_bootstrap

COMMAND = "python benchmarks/lens.py --data DIR --runs DIR"
BITS = 128
HELD = 150
"""Photos of Pascal's database that are left out of the index."""

TAGGED, KEPT, WRONG = 0.3, 0.8, 0.4
"""Share of the images with tags; probability that a label of one becomes a tag, and that a wrong one joins them."""

CHOOSING = (3, 4, 5)
"""Seeds of the tags by which ratios and rules are chosen; others than those of the results."""

NDCG_AT, PRECISION_AT = 20, 10
SETS = ("pascal", "clothing")
ALL = fixed_rules(dict.fromkeys(SOURCES, 1.0))
"""Asks every source that can be asked, to blend what they answer later."""

Labels = dict[str, frozenset[str]]
"""Path of a photo → what it shows."""


class Photos(NamedTuple):
    """The photos of a data set by what they are for."""

    index: Labels
    fit: Labels
    choose: Labels
    query: Labels


class Query(NamedTuple):
    """What is known of a query, and what each source answers.

    Attributes:
        hits: of each source, the images that it answers with, best first.
        grades: image → grade, of all images of the index whose grade is above 0.
        facts: that rules go by.
        unable: sources that cannot be asked → why.
        first: confidence of the first annotation, and whether it is a label of the photo; None without any.
    """

    hits: dict[str, list[str]]
    grades: dict[str, int]
    facts: dict[str, float]
    unable: dict[str, str]
    first: tuple[float, bool] | None


class Gathered(NamedTuple):
    """What is known of all queries, and how many words the index has."""

    queries: list[Query]
    words: int


def dqh(*arguments: str | Path) -> None:
    """Run a verb."""
    subprocess.run([sys.executable, "-m", "dqh.cli", *map(str, arguments)], check=True)


def photos_of(name: str, data: Path) -> Photos:
    """The photos of a data set; those that fit and choose are drawn by the seed 0."""
    if name == "clothing":
        train, validation, test = (
            {str(file): frozenset({file.parent.name}) for file in sorted((data / name / role).glob("*/*.jpg"))}
            for role in ("train", "validation", "test")
        )
        return Photos(train, *_halves(validation), test)
    names = json.loads((data / name / "annotations.json").read_text())["classes"]
    query, database = (_listed(data / name, file, names) for file in ("query.txt", "database.txt"))
    drawn = {list(database)[place] for place in np.random.default_rng(0).permutation(len(database))[:HELD].tolist()}
    held = {path: own for path, own in database.items() if path in drawn}
    return Photos({path: own for path, own in database.items() if path not in drawn}, *_halves(held), query)


def _listed(root: Path, file: str, names: Sequence[str]) -> Labels:
    rows = (line.split() for line in (root / file).read_text().splitlines())
    return {
        str(root / path): frozenset(name for name, flag in zip(names, flags, strict=True) if flag == "1")
        for path, *flags in rows
    }


def _halves(labels: Labels) -> tuple[Labels, Labels]:
    order = np.random.default_rng(1).permutation(len(labels)).tolist()
    paths = [list(labels)[place] for place in order]
    middle = len(paths) // 2
    return tuple({path: labels[path] for path in half} for half in (paths[:middle], paths[middle:]))  # type: ignore[return-value]


def write_tags(labels: Labels, file: Path, seed: int) -> None:
    """A table of noisy tags, see above."""
    generator = np.random.default_rng(seed)
    words = sorted(frozenset().union(*labels.values()))
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("file", "tag"))
        for path, own in labels.items():
            if generator.random() >= TAGGED:
                continue
            tags = [word for word in sorted(own) if generator.random() < KEPT]
            if generator.random() < WRONG or not tags:
                tags.append(str(generator.choice([word for word in words if word not in own])))
            table.writerows((path, tag) for tag in tags)


def artifact_of(given: argparse.Namespace, runs: Path) -> Path:
    """The encoder, fitted once."""
    if not (done := sorted(runs.glob("encoder/*/*/artifact/artifact.json"))):
        command = [sys.executable, str(ROOT / "train.py"), "method=itq", f"bits={BITS}", "data=image_list"]
        command += [f"data.root={given.data / 'pascal'}", "data.query=query.txt", "data.database=database.txt"]
        command += ["data.train=train.txt", "split.protocol=given", "backbone=mobilenet_v2", "without_h=none"]
        command += [f"backbone.weights={given.data / 'weights' / 'mobilenet_v2_imagenet.pt'}"]
        command += ["search.baselines=[]", "search.untrained_images=20", f"runs={runs / 'encoder'}"]
        subprocess.run(command, check=True, stdout=subprocess.PIPE)
        done = sorted(runs.glob("encoder/*/*/artifact/artifact.json"))
    artifact = done[-1].parent
    if not (artifact / "encoder.onnx").exists():
        dqh("export", artifact, "--to", "onnx")
    return artifact


def index_of(name: str, photos: Photos, seed: int, given: argparse.Namespace, runs: Path) -> Path:
    """The index of a data set, with the tags of a seed."""
    if not (runs / "detector").exists():
        save_detector(given.data / "weights" / "yolox_nano.onnx", runs / "detector")
    listed, tags, index = runs / f"{name}.txt", runs / f"{name}_{seed}.csv", runs / f"{name}.index"
    listed.write_text("".join(f"{path}\n" for path in photos.index))
    write_tags(photos.index, tags, seed)
    arguments = ("--out", index, "--objects", runs / "detector", "--tags", tags, "--runtime", "onnx")
    dqh("index", artifact_of(given, runs), listed, *arguments)
    return index


def fitted(lens: Lens, labels: Labels) -> Annotator:
    """An annotator of whole photos whose labels are known."""
    rows = AnswerRows()
    for path in labels:
        encoded = lens.flashlight.encoder.encode([path])
        rows.add(lens.flashlight.answers(encoded, k=50, among="images"))
    words, table = weighted_word_table([words_of(hit) for hit in rows.rows])
    truth = np.array([[word in own for word in words] for own in labels.values()])
    return fit_annotator(rows.ranking(), table, truth)


def asked(lens: Lens, photos: Labels, index: Labels) -> list[Query]:
    """What every source answers to every photo."""
    root = lens.flashlight.index.version.manifest.root
    queries = []
    for path, own in photos.items():
        answer = lens.ask(path, k=50)
        words = answer.understanding.annotations
        queries.append(
            Query(
                hits={source.name: [absolute(hit.path, root) for hit in source.hits] for source in answer.sources},
                grades={image: len(own & labels) for image, labels in index.items() if own & labels},
                facts=answer.facts,
                unable={source.name: source.because[0] for source in answer.sources if not source.asked},
                first=(answer.understanding.annotation, words[0].word in own) if words else None,
            )
        )
    return queries


def gathered(name: str, role: str, seed: int, given: argparse.Namespace, runs: Path) -> Gathered:
    """What every source answers to the queries of a role; looked for once.

    Args:
        name: of the data set.
        role: `query`; `shares`, the same without an annotator; or `choose`.
        seed: of the tags.
        given: arguments.
        runs: where it is kept.
    """
    file = runs / f"{name}_{role}_{seed}.json"
    if not file.exists():
        photos = photos_of(name, given.data)
        index = index_of(name, photos, seed, given, runs)
        with open_detector(runs / "detector") as detector:
            opening: dict[str, Any] = {"detector": detector, "runtime": "onnx", "rules": ALL}
            lens = open_lens(index, **opening)
            if role != "shares":
                lens = open_lens(index, annotator=fitted(lens, photos.fit), **opening)
            own = photos.choose if role == "choose" else photos.query
            queries = asked(lens, own, photos.index)
            done = Gathered([query._asdict() for query in queries], lens.word_search.words)  # type: ignore[arg-type]
        file.write_text(json.dumps(done._asdict()))
        print(f"{name}, {role}, seed {seed}: done", file=sys.stderr)
    content = Gathered(**json.loads(file.read_text()))
    return content._replace(queries=[Query(**query) for query in content.queries])  # type: ignore[arg-type]


def timed(name: str, given: argparse.Namespace, runs: Path) -> dict[str, Any]:
    """What asking takes, warm, every source asked: milliseconds of the wall by stage, and of this process's CPU."""
    photos = list(photos_of(name, given.data).query)
    with open_detector(runs / "detector") as detector:
        lens = open_lens(runs / f"{name}.index", detector=detector, runtime="onnx", rules=ALL)
        for path in photos[:20]:
            lens.ask(path)  # engines, words and pages of the index come into memory
        began, seconds = time.process_time(), [lens.ask(path).seconds for path in photos]
    table = np.array([[1000 * own[stage] for stage in STAGES] for own in seconds])
    table = np.column_stack([table, table.sum(axis=1)])
    return {
        "milliseconds": dict(zip((*STAGES, "all"), np.percentile(table, (50, 95), axis=0).T.tolist(), strict=True)),
        "cpu_ms": 1000 * (time.process_time() - began) / len(photos),
    }


def lists(queries: Sequence[Query], ratios: Callable[[Query], Mapping[str, float]]) -> list[list[str]]:
    """The images of a blend of each query, best first."""
    blended = []
    for query in queries:
        chosen = {name: ratio for name, ratio in ratios(query).items() if ratio > 0}
        hits = {
            name: [SourceHit(place, path, (), (), 0.0, 0.0) for place, path in enumerate(query.hits[name])]
            for name in chosen
        }
        blended.append([result.path for result in blend(hits, chosen, k=NDCG_AT)])
    return blended


def by_rules(rules: BlendRules) -> Callable[[Query], Mapping[str, float]]:
    """The ratios of a query by a table."""

    def ratios(query: Query) -> Mapping[str, float]:
        known = rules.ratios(query.facts, rules.refused(query.facts, query.unable))
        return {name: ratio.ratio for name, ratio in known.items()}

    return ratios


class Scores(NamedTuple):
    """(Q,) of each query."""

    ndcg: NDArray[np.float64]
    precision: NDArray[np.float64]


def scores_of(queries: Sequence[Query], blended: Sequence[Sequence[str]]) -> Scores:
    """NDCG@20 by `dqh`, and P@10: the share of the first ten that are relevant, of ten."""
    gains, precisions = [], []
    for query, paths in zip(queries, blended, strict=True):
        grades = np.array([query.grades.get(path, 0) for path in paths], np.float64)
        every = np.array(list(query.grades.values()) or [0], np.float64)
        gains.append(ndcg(grades, every, cutoff=NDCG_AT))
        precisions.append(np.count_nonzero(grades[:PRECISION_AT]) / PRECISION_AT)
    return Scores(np.array(gains), np.array(precisions))


def require_as_ir_measures(queries: Sequence[Query], blended: Sequence[Sequence[str]]) -> None:
    """Raise AssertionError where ir-measures has other numbers; its gain is g, unless it is told 2^g − 1."""
    measures = ir_measures.nDCG(gains={1: 1, 2: 3, 3: 7, 4: 15, 5: 31}) @ NDCG_AT, ir_measures.P @ PRECISION_AT
    qrels = [
        ir_measures.Qrel(str(number), path, grade)
        for number, query in enumerate(queries)
        for path, grade in query.grades.items()
    ]
    run = [
        ir_measures.ScoredDoc(str(number), path, float(-rank))
        for number, paths in enumerate(blended)
        for rank, path in enumerate(paths)
    ]
    theirs = {(row.query_id, row.measure): row.value for row in ir_measures.iter_calc(measures, qrels, run)}
    for measure, own in zip(measures, scores_of(queries, blended), strict=True):
        wanted = [theirs.get((str(number), measure), 0.0) for number in range(len(queries))]
        assert np.abs(own - wanted).max() < 1e-9, measure


GRID = tuple(
    dict(zip(SOURCES, (first / 10, second / 10, (10 - first - second) / 10), strict=True))
    for first, second in product(range(11), repeat=2)
    if first + second <= 10
)
"""Fixed ratios in steps of a tenth."""


class Ranks(NamedTuple):
    """A query as arrays, for many ratios: what a blend of one source alone gives, and the grades of its images.

    Attributes:
        parts: (3, m) of each source, (60 + 1) / (60 + rank) of each image that any source has; 0 where it has it not.
        grades: (m,) float64.
        every: grades of all that is relevant.
    """

    parts: NDArray[np.float64]
    grades: NDArray[np.float64]
    every: NDArray[np.float64]


def ranks_of(query: Query) -> Ranks:
    """The images in the order in which `blend` meets them."""
    places = {
        path: place for place, path in enumerate(dict.fromkeys(path for own in query.hits.values() for path in own))
    }
    parts = np.zeros((len(SOURCES), len(places)))
    for number, name in enumerate(SOURCES):
        own = [places[path] for path in query.hits[name]]
        parts[number, own] = (RANK + 1) / (RANK + 1 + np.arange(len(own)))
    grades = np.array([query.grades.get(path, 0) for path in places], np.float64)
    return Ranks(parts, grades, np.sort(np.array(list(query.grades.values()) or [0], np.float64))[::-1][:NDCG_AT])


def score_of(ranks: Ranks, ratios: Sequence[float]) -> tuple[float, float]:
    """NDCG@20 and P@10 of a blend by ratios, in the order of `SOURCES`."""
    scores = np.array(ratios) @ ranks.parts
    first = np.argsort(-scores, kind="stable")[:NDCG_AT]
    grades = ranks.grades[first[scores[first] > 0]]
    return ndcg(grades, ranks.every, cutoff=NDCG_AT), np.count_nonzero(grades[:PRECISION_AT]) / PRECISION_AT


def over_grid(queries: Sequence[Query]) -> NDArray[np.float64]:
    """(66, 2, Q) scores of every query by every fixed ratio."""
    ranks = [ranks_of(query) for query in queries]
    return np.array([np.array([score_of(own, [*fixed.values()]) for own in ranks]).T for fixed in GRID])


def chosen_ratios(given: argparse.Namespace, runs: Path) -> dict[str, dict[str, float]]:
    """The fixed ratios of the highest mean NDCG@20 on the photos that choose: of each data set, and of both alike."""
    means = {
        name: np.mean(
            [over_grid(gathered(name, "choose", seed, given, runs).queries)[:, 0].mean(1) for seed in CHOOSING], axis=0
        )
        for name in SETS
    }
    best = {name: GRID[int(mean.argmax())] for name, mean in means.items()}
    return best | {"both": GRID[int(np.mean(list(means.values()), axis=0).argmax())]}


def tables_of(rules: BlendRules, ratios: Mapping[str, Mapping[str, float]], name: str) -> dict[str, BlendRules]:
    """What is compared, by what it is called."""
    alone = {f"{source.replace('_', ' ')} alone": fixed_rules({source: 1.0}) for source in SOURCES}
    fixed = {
        "fixed, a third each": fixed_rules(dict.fromkeys(SOURCES, 1.0)),
        "fixed, best for both": fixed_rules({key: value for key, value in ratios["both"].items() if value}),
        "fixed, best for this one": fixed_rules({key: value for key, value in ratios[name].items() if value}),
    }
    without = {}
    for rule in rules.rules:
        fact, sign, limit = rule.when[0]
        others = tuple(other for other in rules.rules if other is not rule)
        without[f"dynamic, without: {fact} {sign} {limit:g}"] = replace(rules, rules=others)
    always = {key: source._replace(asked=()) for key, source in rules.sources.items()}
    whatever = {"dynamic, all sources always asked": replace(rules, sources=always)}
    return alone | fixed | {DYNAMIC: rules} | without | whatever


DYNAMIC = "dynamic"
SHARES = "dynamic, words not calibrated"
CEILING = "best of 66 fixed ratios a query (ceiling)"


def measured(
    name: str, rules: BlendRules, ratios: Mapping[str, Mapping[str, float]], given: argparse.Namespace, runs: Path
) -> dict[str, Any]:
    """All rows of a data set, and their differences from the dynamic one."""
    parts = [gathered(name, "query", seed, given, runs) for seed in range(given.seeds)]
    values: dict[str, list[Scores]] = {}
    for seed, part in enumerate(parts):
        for row, table in tables_of(rules, ratios, name).items():
            blended = lists(part.queries, by_rules(table))
            require_as_ir_measures(part.queries, blended)
            values.setdefault(row, []).append(scores_of(part.queries, blended))
        shares = gathered(name, "shares", seed, given, runs).queries
        values.setdefault(SHARES, []).append(scores_of(shares, lists(shares, by_rules(rules))))
        ceiling = over_grid(part.queries).max(axis=0)
        values.setdefault(CEILING, []).append(Scores(*ceiling))
    means = {row: Scores(*np.mean(own, axis=0)) for row, own in values.items()}
    queries = [query for part in parts for query in part.queries]
    sure, right = (np.array(own) for own in zip(*[query.first for query in queries if query.first], strict=True))
    refused = [rules.refused(query.facts, query.unable) for query in queries]
    return {
        "queries": len(parts[0].queries),
        "images": len(photos_of(name, given.data).index),
        "words": [part.words for part in parts],
        "ratios": {key: ratios[key] for key in (name, "both")},
        "rows": {row: _row(own, means[DYNAMIC]) for row, own in means.items()},
        "asked": {source: float(np.mean([source not in own for own in refused])) for source in SOURCES},
        "words_first_right": float(right.mean()),
        "calibration_error": calibration_error(calibration_bins(sure.astype(float), right.astype(bool), bins=5)),
        "times": timed(name, given, runs),
    }


def _row(own: Scores, dynamic: Scores) -> dict[str, Any]:
    settings: dict[str, Any] = {"resamples": 5000, "seed": 0}
    return {
        metric: {
            "value": bootstrap(getattr(own, metric), **settings),
            "dynamic less this": paired_bootstrap(getattr(dynamic, metric), getattr(own, metric), **settings),
        }
        for metric in Scores._fields
    }


def sensitivity(
    rules: BlendRules, fixed: Mapping[str, float], given: argparse.Namespace, runs: Path
) -> list[dict[str, Any]]:
    """Mean NDCG@20 over both data sets, on the photos that choose, with each number of the table changed alone."""
    choosing = {
        name: [
            (query, ranks_of(query))
            for seed in CHOOSING
            for query in gathered(name, "choose", seed, given, runs).queries
        ]
        for name in SETS
    }

    def mean(table: BlendRules) -> float:
        ratios = by_rules(table)
        own = (
            np.mean([score_of(ranks, [*ratios(query).values()])[0] for query, ranks in pairs])
            for pairs in choosing.values()
        )
        return float(np.mean(list(own)))

    rows: list[dict[str, Any]] = [
        {"number": "fixed, best for both", "now": mean(fixed_rules({key: own for key, own in fixed.items() if own}))},
        {"number": "the table", "now": mean(rules)},
    ]
    for what, changed in _numbers(rules):
        rows.append({"number": what} | {f"{factor:g}": mean(changed(factor)) for factor in FACTORS})
    return rows


FACTORS = (0.5, 0.8, 1.25, 2.0)
"""By which numbers are multiplied."""


def _numbers(rules: BlendRules) -> Iterator[tuple[str, Callable[[float], BlendRules]]]:
    """Every number of a table, and the table with it multiplied."""

    def with_source(name: str, **more: Any) -> BlendRules:
        return replace(rules, sources={**rules.sources, name: rules.sources[name]._replace(**more)})

    def with_rule(place: int, **more: Any) -> BlendRules:
        own = list(rules.rules)
        own[place] = own[place]._replace(**more)
        return replace(rules, rules=tuple(own))

    for name, source in rules.sources.items():
        weight = source.weight
        yield (
            f"weight of {name}: {weight:g}",
            lambda by, name=name, weight=weight: with_source(name, weight=weight * by),
        )
        for limit in source.asked:
            yield (
                f"{name} asked: {limit.fact} {limit.sign} {limit.limit:g}",
                lambda by, name=name, limit=limit: with_source(name, asked=(limit._replace(limit=limit.limit * by),)),
            )
    for place, rule in enumerate(rules.rules):
        told = f"{rule.when[0].fact} {rule.when[0].sign} {rule.when[0].limit:g}"
        yield (
            f"limit of {told}",
            lambda by, place=place, when=rule.when[0]: with_rule(place, when=(when._replace(limit=when.limit * by),)),
        )
        (name, times), *_ = rule.times.items()
        yield (
            f"{told}: times {times:g}",
            lambda by, place=place, name=name, times=times: with_rule(place, times={name: times * by}),
        )


def page(content: Mapping[str, Any], about: Mapping[str, Any], busy: float | None) -> str:
    """The markdown page."""
    lines = [
        "# Fixed against dynamic ratios of a lens\n",
        f"Images of an index without labels; {TAGGED:.0%} of them, drawn by a seed, carry noisy tags: each of their "
        f"labels with probability {KEPT:g}, and a wrong one with probability {WRONG:g}. An image is relevant that "
        "shares a label with the query, its grade is the number of labels that they share; no source reads labels. "
        "NDCG@20 has the gain 2^g − 1 and the best order of all images of the index as its denominator; P@10 divides "
        f"by 10. Both are as ir-measures has them, query by query. Means over {content['seeds']} seeds of the tags; "
        "95 % intervals (BCa) draw the queries again. The table of rules, and the fixed ratios, were chosen on other "
        f"photos, 75 of Pascal and 171 of clothing, by the tags of {len(CHOOSING)} other seeds.\n",
        f"    {COMMAND}\n",
        f"{where(about)}; {in_words(busy)}.\n",
    ]
    for name in SETS:
        lines += _of_set(name, content["sets"][name])
    lines += ["## Other numbers in the table\n", *_sensitivity(content["sensitivity"]), "## Time\n", *_times(content)]
    return "\n".join(lines).rstrip() + "\n"


def _of_set(name: str, part: Mapping[str, Any]) -> list[str]:
    mixed = {
        key: ", ".join(f"{source.split('_')[0]} {share:g}" for source, share in own.items())
        for key, own in part["ratios"].items()
    }
    share = ", ".join(f"{source.replace('_', ' ')} {own:.1%}" for source, own in part["asked"].items())
    rows = [
        f"| {row} | {_shown(own['ndcg']['value'])} | {_signed(own['ndcg']['dynamic less this'])} "
        f"| {_shown(own['precision']['value'])} | {_signed(own['precision']['dynamic less this'])} |"
        for row, own in part["rows"].items()
    ]
    return [
        f"## {name}\n",
        f"{part['queries']} queries, {part['images']:,} images with {part['words'][0]:,} tags (first seed). Fixed, "
        f"best for both: {mixed['both']}; best for this one: {mixed[name]}. Of the queries the dynamic table "
        f"asks {share}. The first word is right for {part['words_first_right']:.3f} of the queries, its confidence is "
        f"off by {part['calibration_error']:.3f} (expected calibration error, five bins).\n",
        "| blend | NDCG@20 | dynamic less this | P@10 | dynamic less this |\n|---|--:|--:|--:|--:|",
        *rows,
        "",
    ]


def _sensitivity(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each number of the table does, where the table was chosen."""
    fixed, table, *others = rows
    lines = [
        "Mean NDCG@20 of both data sets on the photos that choose, by the tags of the other seeds: "
        f"{table['now']:.4f} by the table, {fixed['now']:.4f} by the best fixed ratios. Each number multiplied, alone, "
        "what it changes:\n",
        f"| number | {' | '.join(f'× {factor:g}' for factor in FACTORS)} |\n|---|{'--:|' * len(FACTORS)}",
    ]
    for row in others:
        changes = (f"{row[f'{factor:g}'] - table['now']:+.4f}" for factor in FACTORS)
        lines.append(f"| {row['number']} | {' | '.join(changes)} |")
    return [*lines, ""]


def _times(content: Mapping[str, Any]) -> list[str]:
    heads = " | ".join(f"{name}: median | 95th percentile" for name in SETS)
    lines = [
        "A warm library call with the encoder by ONNX Runtime, every source asked, each query once, milliseconds; "
        "and of the CPU of this process, without those in which detector and encoder compute.\n",
        f"| stage | {heads} |\n|---|" + "--:|" * 4,
    ]
    times = [content["sets"][name]["times"] for name in SETS]
    for stage in (*STAGES, "all"):
        cells = (f"{value:.1f}" for own in times for value in own["milliseconds"][stage])
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    cpu = " | ".join(f"{own['cpu_ms']:.1f} |" for own in times)
    return [*lines, f"| CPU, mean | {cpu} |"]


def _shown(values: Sequence[float]) -> str:
    value, low, high = Interval(*values)
    return f"{value:.3f} ({low:.3f} … {high:.3f})"


def _signed(values: Sequence[float]) -> str:
    value, low, high = Interval(*values)
    return "" if value == low == high == 0 else f"{value:+.3f} ({low:+.3f} … {high:+.3f})"


def main() -> None:
    """Ask what was not asked yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of the tags (3)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="folder of the results")
    given = parser.parse_args()
    given.data, runs = given.data.resolve(), given.runs.resolve() / "lens"
    runs.mkdir(parents=True, exist_ok=True)
    busy, about = busy_cores(), environment(command=COMMAND, seed=0)
    for name, seed in product(SETS, CHOOSING):
        gathered(name, "choose", seed, given, runs)
    for name, seed, role in product(SETS, range(given.seeds), ("query", "shares")):
        gathered(name, role, seed, given, runs)
    rules, ratios = read_rules(), chosen_ratios(given, runs)
    content: dict[str, Any] = {
        "seeds": given.seeds,
        "sensitivity": sensitivity(rules, ratios["both"], given, runs),
        "sets": {name: measured(name, rules, ratios, given, runs) for name in SETS},
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "lens.json").write_text(json.dumps({"environment": about, **content}, indent=1) + "\n")
    (given.out / "lens.md").write_text(page(content, about, busy))
    print((given.out / "lens.md").read_text())


if __name__ == "__main__":
    main()
