import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.errors import WhereError
from dqh.index.store.where import (
    DEEPEST,
    NUMBERS,
    TEXTS,
    And,
    Comparison,
    Filter,
    In,
    Like,
    Not,
    Or,
    parse,
    render,
)
from dqh.terminal import shown, width

A, B, C = (Comparison("id", "=", number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("label = 'dress'", Comparison("label", "=", "dress")),
        ('label="dress"', Comparison("label", "=", "dress")),
        ("path = 'it''s' ", Comparison("path", "=", "it's")),
        ('path = "it\'s"', Comparison("path", "=", "it's")),
        ("path = ''", Comparison("path", "=", "")),
        ("PATH <> 'a'", Comparison("path", "!=", "a")),
        ("id<=-5", Comparison("id", "<=", -5)),
        ("x1 > 1.5e2", Comparison("x1", ">", 150.0)),
        ("x0 < .5", Comparison("x0", "<", 0.5)),
        ("id in (1,2 , 3)", In("id", (1, 2, 3))),
        ("label not in ('a')", Not(In("label", ("a",)))),
        ("path like 'shoes/%'", Like("path", "shoes/%")),
        ("path NOT LIKE '_'", Not(Like("path", "_"))),
        ("id=1 or id=2 and id=3", Or((A, And((B, C))))),
        ("(id=1 or id=2) and id=3", And((Or((A, B)), C))),
        ("not id=1 and id=2", And((Not(A), B))),
        ("not (id=1 and id=2)", Not(And((A, B)))),
        ("not not id=1", Not(Not(A))),
        ("id=1 and id=2 and id=3", And((A, B, C))),
        ("\n id = 1\t", A),
        ("label = 'or'", Comparison("label", "=", "or")),
        ("label = 'ä(%'", Comparison("label", "=", "ä(%")),
    ],
)
def test_what_a_filter_says(text: str, tree: Filter) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("", "expected a column (id, x0, y0, x1, y1, score, path, label, hash, object), not or (", 0),
        ("lable = 'dress'", "unknown column lable; columns are id, x0, y0, x1, y1, score, path, label, hash", 0),
        ("label = dress", "expected a text in quotes; text is quoted", 8),
        ("label = 5", "label is a text: write it in quotes", 8),
        ("id = '5'", "id is a number: leave out quotes", 5),
        ("id in (1, 'a')", "id is a number: leave out quotes", 10),
        ("id in ()", "expected a number", 7),
        ("id in (1", "expected )", 8),
        ("id like 'a'", "id is a number, like is for text", 3),
        ("label like 5", "label is a text: write it in quotes", 11),
        ("label 'dress'", "expected one of = != < <= > >=, in or like", 6),
        ("label == 'dress'", "equality is written =", 6),
        ("label not = 'a'", "expected in or like after not", 10),
        ("label = 'dress", "this quote is not closed", 8),
        ("label = 'a' & id = 1", "this means nothing here", 12),
        ("label = 'a' id = 1", "expected and, or, or the end", 12),
        ("(id = 1", "expected )", 7),
        ("id = 1)", "expected and, or, or the end", 6),
        ("id = 1 and", "expected a column", 10),
        ("and id = 1", "expected a column", 0),
        ("id = 1e999", "this number is too large", 5),
        ("id = " + "9" * 50, "this number is too large", 5),
        ("id = 0x10", "expected and, or, or the end", 6),
        ("__import__('os')", "unknown column __import__", 0),
        ("not " * (DEEPEST + 1) + "id = 1", f"more than {DEEPEST} parentheses and nots", 4 * DEEPEST),
        ("(" * 9000, f"more than {DEEPEST} parentheses and nots", DEEPEST),
        ("tab\tid = 1", "unknown column tab", 0),
        ("id = 1\nnow", "expected and, or, or the end", 7),
        ("label = '帽子' id = 1", "expected and, or, or the end", 13),
    ],
)
def test_a_mistake_is_shown_where_it_is(text: str, message: str, position: int) -> None:
    with pytest.raises(WhereError) as caught:
        parse(text)
    first, line, caret = str(caught.value).split("\n")
    assert first.startswith(f"filter: {message}")
    assert line == f"  {shown(text)}"
    assert caret == " " * (2 + width(shown(text[:position]))) + "^"


def test_a_filter_has_an_end() -> None:
    with pytest.raises(WhereError, match="a filter may have 10000 characters, this one has 10001"):
        parse("x" * 10_001)


numbers = st.integers(-(10**20), 10**20) | st.floats(-1e30, 1e30)
texts = st.text(max_size=8)


def leaves() -> st.SearchStrategy[Filter]:
    operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    return st.one_of(
        st.builds(Comparison, st.sampled_from(NUMBERS), operators, numbers),
        st.builds(Comparison, st.sampled_from(TEXTS), operators, texts),
        st.builds(In, st.sampled_from(NUMBERS), st.lists(numbers, min_size=1, max_size=3).map(tuple)),
        st.builds(In, st.sampled_from(TEXTS), st.lists(texts, min_size=1, max_size=3).map(tuple)),
        st.builds(Like, st.sampled_from(TEXTS), texts),
    )


def trees() -> st.SearchStrategy[Filter]:
    return st.recursive(
        leaves(),
        lambda part: st.one_of(
            part.map(Not),
            st.lists(part, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(part, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
        ),
        max_leaves=6,
    )


@settings(max_examples=60, deadline=None)
@given(trees())
def test_a_tree_is_what_its_text_says(tree: Filter) -> None:
    assert parse(render(tree)) == tree


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="idlabe x01=<>!()',\"%_andorti5.+-", max_size=30))
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    try:
        tree = parse(text)
    except WhereError:
        return
    assert parse(render(tree)) == tree
