import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from dqh.evaluation.code_map import code_map
from dqh.evaluation.conventions import CONVENTIONS, Ties
from dqh.evaluation.health import code_health
from dqh.evaluation.metrics import Normaliser
from dqh.evaluation.report.grid import Grid, GridResult, GridRow
from dqh.evaluation.report.page import RULES, conventions_content, health_content, write_report

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "img"}
CODES = np.random.default_rng(0).integers(0, 256, (60, 2), dtype=np.uint8)
NEW = {
    "missing": {"without_h": "it was not trained"},
    "intervals": {
        "metric": "mAP@all",
        "level": 0.95,
        "resamples": 2000,
        "rows": [{"search": "binary", "value": 0.97914, "low": 0.97, "high": 0.985}],
        "pairs": [{"search": "binary", "against": "exhaustive", "value": -0.0042, "low": -0.01, "high": 0.002}],
    },
    "conventions": [
        {"convention": "dlbhc", "ties": "order", "normaliser": "hits", "zero_hits": "zero", "mAP@all": 0.9}
    ],
    "health": code_health(CODES, bits=16).to_json(),
    "unseen": {"classes": ["8", "9"], "query": 70, "database": 280, "rows": [{"search": "binary", "mAP@all": 0.5}]},
    "environment": {
        "command": "python evaluate.py",
        "seed": 20240101,
        "date": "2026-11-21T09:00:00+00:00",
        "machine": {"cpu": "a processor", "gpus": []},
        "versions": {"dqh": "0.2.0"},
    },
}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; fails where a tag is not closed in its place."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.attributes, self.cells = [], [], [], []
        self.text, self.source = "", content
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.open and {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def values(self, name):
        return [value for _, key, value in self.attributes if key == name]


def metrics():
    curve = {
        "precision_at_k": {"k": [1, 10, 100], "precision": [1.0, 0.9, 0.8]},
        "precision_recall": {"recall": [0.0, 1.0], "precision": [1.0, 0.5]},
    }
    return {
        "protocol": {
            "data": "digits",
            "split": "full",
            "split_sha256": "ab" * 32,
            "seed": 20240101,
            "query": 360,
            "database": 1437,
            "train": 1293,
            "validation": 144,
            "database_includes_train": True,
            "ties": "expected",
            "normaliser": "min(k, relevant)",
            "pool": {"m": 1000, "size": 1034.25},
        },
        "accuracy": 0.98889,
        "rows": [
            {
                "search": "binary",
                "mAP@all": 0.97914,
                "P@10": 0.98,
                "query_ms": 0.01,
                "qps": 310422.2,
                "bytes_per_item": 6,
            },
            {
                "search": "exhaustive",
                "mAP@all": 0.98336,
                "P@10": 0.98,
                "query_ms": 0.34,
                "qps": None,
                "bytes_per_item": 512,
            },
        ],
        "curves": {"binary": curve, "exhaustive": curve},
        "training": {"best_epoch": 1, "seconds": 58.123, "images_per_s": 9043.2, "seed": 1234},
    }


HISTORY = [
    {"epoch": 0, "train/loss": 2.0, "val/mAP": 0.5},
    {"epoch": 1, "train/loss": 1.0, "val/mAP": 0.9},
    {"epoch": 2, "train/loss": float("nan"), "val/mAP": 0.8},
]


def grid(label="seven", queries=3):
    image = np.zeros((3, 8, 8), dtype=np.uint8)
    results = [GridResult(image, label, float(i), i != 2, f"all/{i}") for i in range(12)]
    return Grid([GridRow(image, label, "all/0", results)] * queries, "binary", "bits", "one a class")


def page_of(folder, content=None, history=HISTORY, pictures=None, **names):
    path = folder / "report.html"
    names = {"title": "dlbhc · digits · 48 bits", "command": "python train.py data=digits bits=48"} | names
    write_report(path, metrics() if content is None else content, history, pictures or Grid(), **names)
    return Page(path.read_text(encoding="utf-8"))


def test_the_learning_curve_says_that_no_value_chose_the_epoch(tmp_path):
    content = metrics()
    content["training"]["chosen_by"] = "last epoch (val/mAP was 0.0000 in every epoch)"
    assert "kept, the last epoch (val/mAP was 0.0000 in every epoch)." in page_of(tmp_path, content).text
    assert "the epoch that was kept." in page_of(tmp_path).text


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("report"), pictures=grid())


@pytest.fixture(scope="module")
def full_page(tmp_path_factory):
    """A page with every section."""
    codes = code_map(CODES, np.arange(60) % 3, bits=16, class_names=("a", "b", "c"))
    return page_of(tmp_path_factory.mktemp("full"), metrics() | NEW, pictures=grid(), code_map=codes)


def headings(page):
    return re.findall(r"<h2[^>]*>([^<]*)", page.source)


def test_the_page_has_every_part(page):
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == 3
    assert page.tags.count("img") == 3 * 11
    assert headings(page) == ["Ways of searching", "Curves", "Retrieved images", "How it was made"]
    for heading in ("Protocol", "Training", "Environment"):
        assert f"<h3>{heading}</h3>" in page.source
    assert page.text.count("dlbhc · digits · 48 bits") == 2, "heading and window title"
    assert "python train.py data=digits bits=48" in page.text
    assert "3 queries shown, one a class.data digits · split full · 360 queries · 1,437 database items" in page.text
    assert "search binary, distance in bits" in page.text


def test_a_full_evaluation_has_all_sections_and_a_link_to_each(full_page):
    found = headings(full_page)
    assert found == [
        "Ways of searching",
        "Differences",
        "Unseen classes",
        "Curves",
        "Retrieved images",
        "Health of the codes",
        "Conventions of mAP",
        "How it was made",
    ]
    links = re.findall(r'<a href="#(\w+)">([^<]*)</a>', full_page.source)
    assert [text for _, text in links] == found
    assert [name for name, _ in links] == re.findall(r'<section id="(\w+)"', full_page.source)


def test_every_picture_has_a_caption_with_data_and_numbers(full_page):
    legends = re.findall(r"<figcaption>.*?</figcaption>", full_page.source)
    assert full_page.tags.count("figure") == len(legends)
    assert full_page.tags.count("svg") >= 3 + 5
    assert all(re.search(r"<small>data digits · .*[\d,]+ (queries|training items)", legend) for legend in legends)
    outside = re.sub(r"<figure>.*?</figure>", "", full_page.source, flags=re.DOTALL)
    assert not re.search(r'<svg|<img|class="chart"|<table class="(numbers|grid)"', outside)


def test_the_environment_is_listed_flat_and_its_command_only_where_it_is_another(tmp_path, full_page):
    facts = dict(pairwise(full_page.cells))
    assert facts["cpu"] == "a processor"
    assert facts["dqh"] == "0.2.0"
    assert facts["date"] == "2026-11-21T09:00:00+00:00"
    assert facts["gpus"] == "–"
    assert facts["command"] == "python evaluate.py"
    same = page_of(tmp_path, metrics() | NEW, command="python evaluate.py")
    assert "command" not in same.cells


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(full_page):
    page = full_page
    assert all(value.startswith("data:image/png;base64,") for value in page.values("src"))
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in page.values("href"))
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [key for _, key, _ in page.attributes if key.startswith("on")]
    assert not re.search(r"https?:|@import|url\((?!#)", page.source)
    assert "default-src 'none'" in page.source


def test_ids_are_unique_within_the_page(full_page):
    ids = full_page.values("id")
    assert len(ids) > 30
    assert len(ids) == len(set(ids))


def test_rows_show_their_numbers_and_the_best_ones_are_bold(page):
    at = page.cells.index("binary")
    assert page.cells[at - 6 : at] == ["search", "mAP@all", "P@10", "ms / query", "queries / s", "bytes / item"]
    assert page.cells[at : at + 6] == ["binary", "0.9791", "0.9800", "0.0100", "310,422", "6"]
    assert page.cells[at + 6 : at + 12] == ["exhaustive", "0.9834", "0.9800", "0.340", "–", "512"]
    assert re.findall(r'<td class="best">([^<]*)', page.source) == ["0.9834"], "P@10 is a draw"


def test_sentence_and_key_numbers_lead_the_page(page):
    top = page.source[: page.source.index("</header>")]
    assert "Each of 360 queries searches 1,437 database items" in top
    assert re.findall(r'<dt>([^<]*)</dt><dd class="value">([^<]*)</dd>', top) == [
        ("mAP@all, binary", "0.9791"),
        ("accuracy", "98.89 %"),
        ("bytes / item", "6"),
        ("ms / query", "0.0100"),
    ]


def test_every_field_of_the_protocol_and_of_the_training_is_listed(page):
    cells = page.cells
    facts = dict(pairwise(cells))
    for name in metrics()["protocol"]:
        assert name.replace("_", " ") in facts
    assert facts["split sha256"] == "ab" * 32
    assert facts["database includes train"] == "yes"
    assert facts["pool"] == "m 1,000, size 1,034"
    assert facts["images per s"] == "9,043"
    assert "20240101" in cells, "a seed is a name, it has no thousands separators"
    assert facts["seed"] == "1234"


def test_each_curve_has_a_caption_with_data_and_numbers(page):
    text = page.text
    assert text.count("360 queries · 1,437 database items · ties expected · pool m 1,000, size 1,034") >= 2
    assert "data digits · 1,293 training items · 144 validation items" in text
    assert "Validation mAP, best 0.9000 at epoch 1" in text


def test_the_swatch_of_a_row_has_the_colour_of_its_curve(tmp_path):
    content = metrics()
    content["curves"] = {"other": {}, "exhaustive": content["curves"]["exhaustive"]}
    swatches = re.findall(r'<span class="swatch"([^>]*)>', page_of(tmp_path, content).source)
    assert swatches == ["", ' style="--colour: var(--series-2)"'], "binary has no curve, exhaustive the second"


def test_curves_of_baselines_are_in_a_picture_of_their_own_and_further_columns_in_another(tmp_path):
    content = metrics()
    content["curves"] = content["curves"] | {"itq": content["curves"]["binary"]}
    history = [row | {"val/quantization_error": 0.1} for row in HISTORY]
    labels = page_of(tmp_path, content, history).values("aria-label")
    assert "Precision at k: binary, exhaustive" in labels
    assert "Precision at k, compared: binary, exhaustive, itq" in labels
    assert "Further curves of the training: quantization error" in labels


@pytest.mark.parametrize(("database", "size"), [(500, "500 items"), (1437, "50 queries")])
def test_curves_of_part_of_the_images_say_so_in_the_picture_and_below_it(tmp_path, database, size):
    content = metrics()
    content["curves"] = content["curves"] | {"untrained": content["curves"]["binary"]}
    content["subset"] = {"searches": ["untrained"], "query": 50, "database": database, "rows": []}
    shown = page_of(tmp_path, content)
    labels = shown.values("aria-label")
    assert f"Precision at k: binary, exhaustive, untrained ({size})" in labels
    assert f"Precision against recall: binary, exhaustive, untrained ({size})" in labels
    assert shown.source.count(f">untrained ({size})</text>") == 2
    assert shown.text.count(" Of part of the images, and so no match for the others: untrained.") == 2


def test_published_curves_are_labelled_as_quoted(tmp_path):
    content = metrics()
    assert "quoted from" not in page_of(tmp_path, content).text
    content["protocol"]["data"] = "cifar10"
    text = page_of(tmp_path, content).text
    assert "quoted from Lin et al. 2015 (CIFAR-10, 48 bits, other features, 1,000 queries), not measured here." in text


def test_what_comes_from_outside_is_escaped_everywhere(tmp_path):
    content = metrics()
    content["protocol"] |= {"data": EVIL, EVIL: EVIL}
    content["training"] |= {EVIL: EVIL}
    content["rows"][0] |= {"search": EVIL, EVIL: 1.0}
    content["curves"] = {EVIL: content["curves"]["binary"]}
    content["environment"] = {EVIL: EVIL, "machine": {EVIL: EVIL}}
    pictures = grid(EVIL)._replace(search=EVIL, unit=EVIL, selection=EVIL)
    page = page_of(tmp_path, content, HISTORY, pictures, title=EVIL, command=EVIL)
    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 12
    assert f"{EVIL} · all/0" in page.values("title")


def test_the_signs_of_a_template_are_signs(tmp_path):
    command = "echo $title ${HOME} $$ {{ title }} {% if %} {# #}"
    assert command in page_of(tmp_path, command=command).text


def test_quotes_stay_within_their_attribute(tmp_path):
    quoted = """a" onerror="x' b"""
    page = page_of(tmp_path, pictures=grid(quoted))
    assert f"{quoted} · all/0" in page.values("title")
    assert f"query, {quoted}" in page.values("alt")
    assert "onerror" not in [key for _, key, _ in page.attributes]


def test_a_file_name_that_is_no_text_is_shown_with_question_marks(tmp_path):
    page = page_of(tmp_path, title=b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert page.text.count("caf?") == 2


def test_labels_under_pictures_are_shown_whole_and_verdicts_in_a_line(full_page):
    (labels,) = re.findall(r"^\.grid small \{(.*)\}$", full_page.source, flags=re.MULTILINE)
    assert "max-width: var(--side)" in labels
    assert not re.search("overflow|nowrap", labels)
    (numbers,) = re.findall(r"^\.value small \{(.*)\}$", full_page.source, flags=re.MULTILINE)
    assert "white-space: nowrap" in numbers


def test_without_history_pictures_and_curves_the_page_says_so(tmp_path):
    content = metrics() | {"curves": {}, "training": {}, "accuracy": None}
    page = page_of(tmp_path, content, [])
    assert not {"svg", "img"} & set(page.tags)
    assert "no learning curve" in page.text
    assert "no pictures to show" in page.text
    assert "Nothing was trained" in page.text
    assert "of the classifier" not in page.text
    assert "0.9791" in page.text


def test_an_empty_evaluation_still_gives_a_page(tmp_path):
    page = page_of(tmp_path, {}, [])
    assert "No way of searching was evaluated." in page.text
    assert "The protocol was not recorded." in page.text


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_missing_numbers_show_as_dashes(tmp_path, nothing):
    content = metrics()
    names = ("mAP@all", "P@10", "query_ms", "qps", "bytes_per_item")
    content["rows"] = [{"search": "binary"} | dict.fromkeys(names, nothing)]
    content["protocol"]["pool"] = content["training"]["best_epoch"] = content["accuracy"] = nothing
    page = page_of(tmp_path, content)
    at = page.cells.index("binary")
    assert page.cells[at + 1 : at + 6] == ["–"] * 5
    assert "nan" not in page.text.lower()


@pytest.mark.slow
def test_it_replaces_an_older_page_and_leaves_no_other_file(tmp_path):
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    page_of(tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    page_of(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first, "the same content gives the same bytes"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_nothing_scrolls_sideways_but_boxes_made_for_it(full_page):
    """Every wide thing (numbers, pictures) stands in a box of its own that scrolls, with a name of its own."""
    page = full_page
    wide = len(re.findall(r'<table class="(?:numbers|grid)"', page.source))
    names = re.findall(
        r'<div class="scroll" tabindex="0" role="region" aria-label="([^"]*)">(?=<table class="(?:numbers|grid)")',
        page.source,
    )
    assert names == ["Numbers", "Numbers, unseen classes", "Retrieved images"]
    assert wide == len(names)
    assert 'name="viewport"' in page.source
    assert "prefers-color-scheme: dark" in page.source


@pytest.mark.parametrize(
    ("drawing", "part"),
    [("plots.learning_curve", "curves"), ("render_grid", "pictures"), ("health_content", "health")],
)
def test_a_part_that_cannot_be_drawn_is_left_out_and_told(tmp_path, monkeypatch, caplog, drawing, part):
    def fail(*_, **__):
        raise ValueError("no such colour")

    monkeypatch.setattr(f"dqh.evaluation.report.page.{drawing}", fail)
    page = page_of(tmp_path, pictures=grid())
    assert "Ways of searching" in page.text
    assert caplog.messages == [f"report.html: {part}: no such colour; the work goes on without"]


LABELS = np.arange(60) % 3
PROTOCOL = {"data": "digits", "query": 300, "database": 60}


@pytest.fixture(scope="module")
def content():
    metrics = {"protocol": PROTOCOL, "health": code_health(CODES, bits=16).to_json()}
    return health_content(metrics, code_map(CODES, LABELS, bits=16, class_names=("a", "b", "<c>")))


def test_findings_stand_in_words_above_pictures_with_protocol_and_n(content):
    assert content.index("<li>") < content.index("<svg")
    assert content.count("<figure>") == content.count("<svg") == content.count("<figcaption>")
    assert content.count("<small>data digits · 300 queries · 60 database items</small>") == content.count("<svg")
    assert len(re.findall(r"<li>[^<]*16 bits", content)) >= 1


def test_class_names_are_escaped(content):
    assert "<c>" not in content
    assert "&lt;c&gt;" in content


def test_a_map_alone_is_shown_alone():
    content = health_content({}, code_map(CODES, LABELS, bits=16, class_names=("a", "b", "c")))
    assert content.count("<svg") == 1
    assert "<li>" not in content


def test_product_quantized_codes_have_the_use_of_their_codewords_beside_the_map():
    health = {"kind": "pq", "perplexity": [200.0, 100.0], "dead": [0, 40], "error": 0.1}
    mapped = code_map(CODES, LABELS, bits=16, class_names=("a", "b", "c"))
    content = health_content({"protocol": PROTOCOL | {"bits": 16}, "health": health}, mapped)
    assert "Use of the codewords" in content
    assert "Map of the codes" in content
    assert content.count("<svg") == content.count("<small>data digits · 300 queries · 60 database items</small>") == 2
    assert content.count("<li>") == 3


@pytest.mark.parametrize("kind", [{}, {"kind": "binary"}])
def test_an_older_file_does_not_name_the_kind(kind):
    content = health_content({"health": code_health(CODES, bits=16).to_json() | kind}, None)
    assert content.count("<svg") == 4


@pytest.mark.parametrize("health", [None, {}, {"kind": "unheard of"}])
def test_without_health_and_map_there_is_nothing(health):
    assert health_content({"health": health}, None) == ""


ROW = {
    "convention": "hashnet",
    "normaliser": "hits",
    "zero_hits": "drop",
    "ties": "order",
    "mAP@all": 0.75,
    "mAP@all_low": 0.7,
    "mAP@all_high": 0.8,
    "mAP@1000": 0.9,
    "mAP@1000_low": None,
    "mAP@1000_high": None,
}


def test_each_convention_has_its_rules_its_value_and_its_tie_bounds_under_each_metric():
    content = conventions_content({"protocol": {"data": "digits", "query": 300}, "conventions": [ROW]})
    charts = re.findall(r"<figure>.*?</figure>", content, flags=re.DOTALL)
    assert len(charts) == 2
    for chart, metric, numbers in zip(
        charts, ("mAP@all", "mAP@1000"), ("0.7500[0.7000, 0.8000]", "0.9000"), strict=True
    ):
        texts = re.findall(r'<span class="(?:name|meaning)">([^<]*)', chart)
        assert texts == [
            "hashnet",
            "divided by the hits within k; queries without a hit are left out; ties in database order",
        ]
        value = re.search(r'<span class="value">(.*?)</span>', chart)[1]
        assert re.sub("<[^>]*>", "", value) == numbers
        assert f"{metric} of the codes alone; brackets" in chart
        assert "<small>data digits · 300 queries</small>" in chart


def test_every_rule_that_a_convention_may_have_has_a_text():
    assert set(RULES["normaliser"]) == set(get_args(Normaliser))
    assert set(RULES["ties"]) == set(get_args(Ties))
    assert set(RULES["zero_hits"]) == {each.zero_hits for each in CONVENTIONS.values()}


@pytest.mark.parametrize("rows", [None, [], [{"convention": "default"}], [{"convention": "x", "mAP@all": None}]])
def test_without_numbers_there_is_nothing(rows):
    assert conventions_content({"conventions": rows}) == ""


def test_texts_are_escaped():
    evil = "<script>"
    row = {"convention": evil, "ties": evil, "normaliser": evil, f"mAP@{evil}": 0.5}
    content = conventions_content({"conventions": [row], "protocol": {"data": evil}})
    assert evil not in content
    assert content.count("&lt;script&gt;") >= 4
