"""Tables of rules: ratios by hand, and what is wrong with a file."""

from pathlib import Path

import pytest

from dqh.discovery.blend_rules import (
    ANSWER_FACTS,
    DEFAULT,
    SOURCES,
    BlendRules,
    Condition,
    Ratio,
    fixed_rules,
    read_rules,
)
from dqh.discovery.understanding import FACTS, Dominance
from dqh.errors import ConfigError

TABLE = """
dominant: {score: 0.5, area: 0.2, lead: 2}
sources:
  visual_search: {weight: 2}
  object_search:
    weight: 1
    asked: {object_score: ">= 0.3"}
    because: no object is sure
  image_search:
    weight: 1
    asked: {annotation: ">= 0.4", nearness: "< 0.9"}
    because: no word is sure
rules:
  - when: {annotation: ">= 0.8"}
    times: {image_search: 3, visual_search: .5}
    because: the word is sure
  - when: {annotation: ">= 0.8", dominant: "< 0.1"}
    times: {object_search: 0}
    because: there are many things
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(TABLE)
    return tmp_path / "rules.yaml"


def facts(**given: float) -> dict[str, float]:
    return dict.fromkeys((*FACTS, *ANSWER_FACTS), 0.0) | given


def ratios_of(rules: BlendRules, known: dict[str, float], unable: dict[str, str] | None = None) -> dict[str, Ratio]:
    return rules.ratios(known, rules.refused(known, unable))


def test_ratios_by_hand(table: Path) -> None:
    """Sure word, dominant object: weights 2 · .5, 1, 1 · 3 of 5."""
    rules = read_rules(table)
    assert rules.dominant == Dominance(0.5, 0.2, 2)
    ratios = ratios_of(rules, facts(annotation=0.9, object_score=0.5, dominant=0.3))
    assert {name: ratio.ratio for name, ratio in ratios.items()} == pytest.approx(
        {"visual_search": 0.2, "object_search": 0.2, "image_search": 0.6}
    )
    assert ratios["image_search"].because == ("weight 1", "times 3: the word is sure (annotation 0.9 >= 0.8)")
    without = ratios_of(rules, facts(annotation=0.9, object_score=0.5))
    assert {name: ratio.ratio for name, ratio in without.items()} == {
        "visual_search": 0.25,
        "object_search": 0.0,
        "image_search": 0.75,
    }
    assert without["object_search"].asked
    assert without["object_search"].because[1] == (
        "times 0: there are many things (annotation 0.9 >= 0.8, dominant 0 < 0.1)"
    )


def test_a_source_below_its_confidence_is_not_asked(table: Path) -> None:
    ratios = ratios_of(read_rules(table), facts(annotation=0.25, nearness=0.95))
    assert [ratios[name].asked for name in SOURCES] == [True, False, False]
    assert ratios["visual_search"].ratio == 1
    assert ratios["object_search"].because == ("no object is sure (object_score 0, wanted >= 0.3)",)
    assert ratios["image_search"].because == (
        "no word is sure (annotation 0.25, wanted >= 0.4, nearness 0.95, wanted < 0.9)",
    )


def test_what_cannot_be_asked_says_why(table: Path) -> None:
    ratios = ratios_of(read_rules(table), facts(object_score=0.9), {"object_search": "the index has no objects"})
    assert ratios["object_search"] == (0.0, False, ("the index has no objects",))
    none = ratios_of(fixed_rules({"image_search": 1}), facts(), {"image_search": "no words"})
    assert {name: ratio[:2] for name, ratio in none.items()} == dict.fromkeys(SOURCES, (0.0, False))
    assert none["visual_search"].because == ("the table of rules does not name it",)


def test_fixed_ratios_do_not_heed_what_is_understood() -> None:
    rules = fixed_rules({"visual_search": 3, "image_search": 1})
    for given in (facts(), dict.fromkeys((*FACTS, *ANSWER_FACTS), 1.0)):
        assert [ratio.ratio for ratio in ratios_of(rules, given).values()] == [0.75, 0, 0.25]


def test_a_limit_is_met_by_itself() -> None:
    assert Condition("annotation", ">=", 0.5).holds({"annotation": 0.5})
    assert not Condition("annotation", "<", 0.5).holds({"annotation": 0.5})


def test_the_table_of_the_package() -> None:
    """Every source is asked about something; each rule changes a ratio of some photo, and each reason is a text."""
    rules = read_rules()
    assert read_rules(DEFAULT) == rules
    assert set(rules.sources) == set(SOURCES)
    sure = ratios_of(rules, dict.fromkeys((*FACTS, *ANSWER_FACTS), 1.0))
    assert all(ratio.asked for ratio in sure.values())
    unsure = ratios_of(rules, facts())
    assert [unsure[name].asked for name in SOURCES] == [True, False, False]
    assert all(rule.because and rule.times.keys() <= rules.sources.keys() for rule in rules.rules)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("visual_search: {weight: 2}", "visual_serch: {weight: 2}", "did you mean 'visual_search'?"),
        (
            "visual_search: {weight: 2}",
            "visual_search: {weight: 0}",
            "sources.visual_search.weight must be a number ab",
        ),
        ("visual_search: {weight: 2}", "visual_search: {weight: true}", "weight must be a number above 0"),
        ('{object_score: ">= 0.3"}', '{object_scor: ">= 0.3"}', "did you mean 'object_score'?"),
        ('{object_score: ">= 0.3"}', '{word_nearness: ">= 0.3"}', "names 'word_nearness', which there is not"),
        ('">= 0.3"', "0.3", 'sources.object_search.asked.object_score must be ">= NUMBER" or "< NUMBER", got 0.3'),
        ('">= 0.3"', '"> 0.3"', 'must be ">= NUMBER" or "< NUMBER"'),
        ("because: the word is sure", "becuase: the word is sure", "rules[0].because is missing"),
        ("{object_search: 0}", "{object_search: -1}", "rules[1].times.object_search must be a number from 0"),
        ("dominant: {score: 0.5,", "dominant: {score: 50,", "dominant.score must be a number from 0 to 1, got 50"),
        ("sources:", "source:", "sources is missing"),
        ("rules:", "rules: {", "is no yaml"),
    ],
)
def test_what_is_wrong_with_a_file(table: Path, old: str, new: str, message: str) -> None:
    assert old in TABLE
    table.write_text(TABLE.replace(old, new))
    with pytest.raises(ConfigError) as raised:
        read_rules(table)
    assert message in str(raised.value)
    assert str(table) in str(raised.value)


def test_all_problems_together(table: Path) -> None:
    table.write_text(TABLE.replace("weight: 2", "weight: -2").replace("weight: 1", "weight: x"))
    with pytest.raises(ConfigError) as raised:
        read_rules(table)
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no table of rules at"),
        (b"\xff\xfe\x00", "is no yaml"),
        (b"- 1\n", "the content must be an object"),
        (b"", "the content must be an object"),
        (b"!!python/object/apply:os.getcwd []", "is no yaml"),
        (b"x" * 2**17, "larger than"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "rules.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_rules(tmp_path / "rules.yaml")
