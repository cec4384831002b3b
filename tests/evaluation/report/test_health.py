import re

import numpy as np
import pytest

from dqh.evaluation.code_map import code_map
from dqh.evaluation.health import code_health
from dqh.evaluation.report.health import health_content

CODES = np.random.default_rng(0).integers(0, 256, (60, 2), dtype=np.uint8)
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
