"""Filters over the rows of an index: a small grammar, parsed into a tree and never run as code.

    filter     = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" filter ")" | comparison
    comparison = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
               | column [ "not" ] "in" "(" value { "," value } ")"
               | column [ "not" ] "like" text

Columns are `id`, `x0`, `y0`, `x1`, `y1` (the box, pixels) and `score` (numbers), and `path`, `label`, `object` and
`hash` (text; `hash` in lower-case hexadecimal). `object` is the class of what a detector saw in the box, `score` how
sure it was, 0 … 1. A text is quoted by ' or ", and a quote inside is written twice. In `like`, % stands for any text
and _ for any character. Words are written in small or capital letters. A row may have several labels: a comparison
holds where one of them fits. What is missing, a label, a box or an object, fits no comparison. `!=`, `not in` and
`not like` hold exactly where `=`, `in` and `like` do not.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from dqh.errors import WhereError
from dqh.terminal import shown, width

NUMBERS = ("id", "x0", "y0", "x1", "y1", "score")
TEXTS = ("path", "label", "hash", "object")
LONGEST = 10_000
"""Characters of a filter at most."""

DEEPEST = 50
"""Parentheses and nots inside one another at most."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"""
    r"""|(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|!=|<>|==|[=<>(),]))""",
    re.ASCII,
)
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
_WORDS = ("and", "or", "not", "in", "like")

Value = str | int | float


@dataclass(frozen=True)
class Comparison:
    """`column operator value`."""

    column: str
    operator: str
    value: Value


@dataclass(frozen=True)
class In:
    """`column in (values)`."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Like:
    """`column like pattern`."""

    column: str
    pattern: str


@dataclass(frozen=True)
class Not:
    """`not part`."""

    part: "Filter"


@dataclass(frozen=True)
class And:
    """All of `parts`, two or more."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Or:
    """One of `parts` at least, two or more."""

    parts: tuple["Filter", ...]


Filter = Comparison | In | Like | Not | And | Or


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> Filter:
    """The tree of a filter by the grammar above, of at most `LONGEST` characters.

    Raises:
        WhereError: it does not parse, names an unknown column, or compares text with numbers.

    Example:
        >>> parse("label = 'dress' and not id < 5")
        And(parts=(Comparison(column='label', operator='=', value='dress'), Not(part=Comparison(column='id', \
operator='<', value=5))))
    """
    if len(text) > LONGEST:
        raise WhereError(f"a filter may have {LONGEST} characters, this one has {len(text)}")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def whole(self) -> Filter:
        tree = self._or()
        if self._peek().kind != "end":
            self._fail("expected and, or, or the end")
        return tree

    def _or(self) -> Filter:
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Filter:
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"more than {DEEPEST} parentheses and nots inside one another")
        if self._take("not"):
            tree: Filter = Not(self._not())
        elif self._take("("):
            tree = self._or()
            self._expect(")")
        else:
            tree = self._comparison()
        self._depth -= 1
        return tree

    def _comparison(self) -> Filter:
        token = self._peek()
        column = token.text.lower()
        if token.kind != "word" or column in _WORDS:
            self._fail(f"expected a column ({', '.join(NUMBERS + TEXTS)}), not or (")
        if column not in NUMBERS + TEXTS:
            self._fail(f"unknown column {token.text}; columns are {', '.join(NUMBERS + TEXTS)}")
        self._next += 1
        negated = self._take("not")
        if self._take("in"):
            tree: Filter = In(column, self._values(column))
        elif self._peek().text.lower() == "like" and self._peek().kind == "word":
            tree = Like(column, self._pattern(column))
        elif negated:
            self._fail("expected in or like after not")
        else:
            return self._compared(column)
        return Not(tree) if negated else tree

    def _compared(self, column: str) -> Filter:
        token = self._peek()
        if token.text == "==":
            self._fail("equality is written =")
        operator = "!=" if token.text == "<>" else token.text
        if operator not in _OPERATORS:
            self._fail(f"expected one of {' '.join(_OPERATORS)}, in or like")
        self._next += 1
        return Comparison(column, operator, self._value(column))

    def _values(self, column: str) -> tuple[Value, ...]:
        self._expect("(")
        values = [self._value(column)]
        while self._take(","):
            values.append(self._value(column))
        self._expect(")")
        return tuple(values)

    def _pattern(self, column: str) -> str:
        if column not in TEXTS:
            self._fail(f"{column} is a number, like is for text")
        self._next += 1
        return str(self._value(column))

    def _value(self, column: str) -> Value:
        token = self._peek()
        if token.kind not in ("text", "number"):
            hint = "; text is quoted" if token.kind == "word" else ""
            self._fail(f"expected a {'text in quotes' if column in TEXTS else 'number'}{hint}")
        if (token.kind == "text") != (column in TEXTS):
            self._fail(f"{column} is a {'text: write it in quotes' if column in TEXTS else 'number: leave out quotes'}")
        if token.kind == "text":
            value: Value = token.text[1:-1].replace(token.text[0] * 2, token.text[0])
        else:
            whole = re.fullmatch(r"[+-]?\d+", token.text)
            if len(token.text) > 40 or not math.isfinite(float(token.text)):
                self._fail("this number is too large")
            value = int(token.text) if whole else float(token.text)
        self._next += 1
        return value

    def _split(self) -> Iterator[_Token]:
        position = 0
        while self._text[position:].strip():
            match = _TOKEN.match(self._text, position)
            if match is None:
                position += len(self._text[position:]) - len(self._text[position:].lstrip())
                quote = self._text[position] in "'\""
                raise self._error("this quote is not closed" if quote else "this means nothing here", position)
            kind = str(match.lastgroup)
            yield _Token(kind, match[kind], match.start(kind))
            position = match.end()
        yield _Token("end", "", len(self._text))

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        token = self._peek()
        taken = token.kind in ("word", "sign") and token.text.lower() == text
        self._next += taken
        return taken

    def _expect(self, text: str) -> None:
        if not self._take(text):
            self._fail(f"expected {text}")

    def _fail(self, message: str) -> NoReturn:
        raise self._error(message, self._peek().position)

    def _error(self, message: str, position: int) -> WhereError:
        before = width(shown(self._text[:position]))
        return WhereError(f"filter: {message}\n  {shown(self._text)}\n  {' ' * before}^")


def render(tree: Filter) -> str:
    """The text of a tree; `parse` is the inverse, up to parentheses that change nothing."""
    match tree:
        case Comparison(column, operator, value):
            return f"{column} {operator} {_literal(value)}"
        case In(column, values):
            return f"{column} in ({', '.join(map(_literal, values))})"
        case Like(column, pattern):
            return f"{column} like {_literal(pattern)}"
        case Not(part):
            return f"not ({render(part)})"
        case And(parts) | Or(parts):
            word = " and " if isinstance(tree, And) else " or "
            return word.join(f"({render(part)})" for part in parts)


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
