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


@pytest.mark.parametrize("health", [None, {}])
def test_without_health_and_map_there_is_nothing(health):
    assert health_content({"health": health}, None) == ""
