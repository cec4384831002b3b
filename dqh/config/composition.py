"""Hydra's composition errors with the argument that caused them, what is wrong with it and the nearest valid name.

What is said is known from the arguments, the keys and the choices themselves. Of hydra's text only is read which of
the arguments it names; it is shown as it is where it names none, or one in which nothing wrong is known.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dqh.commands import command, setting
from dqh.config.names import hint, nearest

_NOISE = (
    r"See https://hydra\.cc.*|Set the environment variable HYDRA_FULL_ERROR.*|(?:object|reference)_type=.*"
    r"|Config search path:(?:\n\tprovider=.*)*"
)
"""What is left out of hydra's text where it is shown; in another release it may stay."""

_CLOSING = {"[": "]", "{": "}", "'": "'", '"': '"'}
_KEY = r"[\w./-]+(@[\w./-]+)?"
_SEVERAL = r"(range|interval|choice|glob|shuffle|sort)\(.*\)"
"""Sweeps that hydra's grammar has beside a list with commas."""

_NO_NAME = r"(?i)null|true|false|[-+.\de]+"
"""Values that are no text to hydra."""


class Argument(NamedTuple):
    """An argument of a command line, `SIGN KEY = VALUE`, as far as it has these parts.

    Attributes:
        text: all of it.
        sign: of `+` and `~`, none, one or two.
        key: without the sign.
        value: None where there is no `=`.
    """

    text: str
    sign: str
    key: str
    value: str | None


class _Valid(NamedTuple):
    """The keys that are known, and the choices of the groups."""

    keys: Sequence[str]
    choices: Mapping[str, Sequence[str]]


def explain_composition(
    message: str,
    known_keys: Sequence[str],
    argv: Sequence[str],
    *,
    choices: Mapping[str, Sequence[str]] | None = None,
    unread: str | None = None,
) -> str:
    r"""One line that says what is wrong with a command line or with the files that it names.

    Args:
        message: the text of the error that composing raised, and of its cause on further lines where it has one.
        known_keys: all dotted keys of the default configuration, and the names of the groups; of a group without its
            keys (but for `_target_`) nothing is said of a key in it.
        argv: the arguments, without the script's name.
        choices: by group, its choices; None where they are not known.
        unread: the argument that hydra could not read, where its error has it.

    Returns:
        `argument: what is wrong; next step`; the message itself, on one line, where that is not known.

    Example:
        >>> error = "Could not override 'trainer.epoch'.\nTo append to your config use +trainer.epoch=3"
        >>> explain_composition(error, ["bits", "trainer.epochs"], ["trainer.epoch=3"])
        'trainer.epoch=3: no such key; did you mean trainer.epochs? valid: epochs'
    """
    own = " ".join(re.sub(_NOISE, "", message).split())
    valid = _Valid(known_keys, choices or {})
    given = [_parts(text) for text in argv]
    if unread is not None:
        argument = next((known for known in given if known.text.lstrip("+~") == unread.lstrip("+~")), None)
        return (_unread(argument, message, valid) if argument else None) or own
    swept = not {"-m", "--multirun"}.isdisjoint(argv)
    for argument in given:
        if _names(message, argument) and (wrong := _wrong(argument, valid, swept=swept)):
            return f"{argument.text}: {wrong}"
    unnamed = [
        written
        for written in given
        if written.key in {"", *valid.choices} and re.fullmatch(_NO_NAME, written.value or "")
    ]
    if "group override must be a string" in message and len(unnamed) == 1:  # hydra does not say which one
        return f"{unnamed[0].text}: wanted the name of a choice, as in {unnamed[0].key or 'KEY'}=NAME"
    return own


def _parts(text: str) -> Argument:
    start, equals, value = text.partition("=")
    key = start.lstrip("+~")
    return Argument(text, start[: len(start) - len(key)], key, value if equals else None)


def _names(message: str, argument: Argument) -> bool:
    """Whether a text names an argument, or its key or choice, as a word of its own."""
    whole = {argument.text, argument.text.lstrip("+~")}
    names = {argument.key, f"{argument.key}/{argument.value}"} if argument.key else set()
    return any(re.search(rf"(?<![\w./@=-]){re.escape(name)}(?![\w/@-]|\.\w)", message) for name in whole | names)


def _wrong(argument: Argument, valid: _Valid, *, swept: bool) -> str | None:
    """What is wrong with an argument, of which the text alone is judged; None where that is not known."""
    key, value = argument.key, argument.value
    if malformed := _malformed(argument, valid):
        return malformed
    if key not in valid.keys:
        return _unknown_key(key, valid)
    if key in valid.choices and value is not None:
        if argument.sign == "+":
            return f"{key} is chosen already; write {key}={value} (in a file: override /{key}: {value})"
        names = valid.choices[key]
        if re.fullmatch(r"[\w./-]+", value) and not re.fullmatch(_NO_NAME, value) and value not in names:
            return f"no such choice of {key}{hint(value, names, listed=names, prefix=f'{key}=')}"
    elif argument.sign == "+":
        return f"{key} is in the configuration already; leave out the +"
    return None if swept or value is None else _several(key, value)


def _several(key: str, value: str) -> str | None:
    if value[:1] not in _CLOSING and "," in value and "(" not in value:
        return f"several values; write '{key}=[{value}]' for a list, or add --multirun for a run with each"
    if re.fullmatch(_SEVERAL, value):
        return "several values; add --multirun for a run with each"
    return None


def _unknown_key(key: str, valid: _Valid) -> str | None:
    """That there is no such key, where all that there are at its place are known."""
    siblings = _siblings(key, valid.keys)
    if key.partition(".")[0] == "hydra" or "/" in key or set(siblings) <= {"_target_"}:
        return None
    if any(name.startswith(f"{key}.") for name in valid.keys):
        return None
    return f"no such key{hint(key, valid.keys, listed=siblings)}"


def _siblings(key: str, known: Sequence[str]) -> list[str]:
    """The valid names at the place of `key`, or at the nearest place above it that exists."""
    parent = key.rpartition(".")[0]
    while parent and not any(name.startswith(f"{parent}.") for name in known):
        parent = parent.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    return list(dict.fromkeys(name[len(start) :].partition(".")[0] for name in known if name.startswith(start)))


def _malformed(argument: Argument, valid: _Valid) -> str | None:
    """What is wrong with the form of an argument, but for its value."""
    name = re.match(r"-*([\w./]*)", argument.key)
    near = nearest(name[1], valid.keys) if name else None
    meant = f"; did you mean {near}=VALUE?" if near else ""
    if argument.text.startswith("-") or (argument.value is None and argument.sign != "~"):
        return f"settings are written KEY=VALUE{meant}"
    if len(argument.sign) > 2 or not re.fullmatch(_KEY, argument.key):
        return f"{argument.sign}{argument.key} is no key{meant}"
    return None


def _unread(argument: Argument, message: str, valid: _Valid) -> str | None:
    """What is wrong with an argument that hydra could not read; None where that is not known."""
    if malformed := _malformed(argument, valid):
        return f"{argument.text}: {malformed}"
    value = argument.value
    if value is None:
        return None
    opening = value.lstrip("$")[:1]
    closing = _CLOSING.get(opening)
    if closing and value.count(closing) < (2 if closing == opening else value.count(opening)):
        return f"{argument.text}: {opening} is not closed; write {command(argument.text + closing)}"
    reasons = (line.partition(f"'{value}': ")[2] for line in message.splitlines())
    reason = next(filter(None, reasons), "the value cannot be read")
    text = command(setting(f"{argument.sign}{argument.key}", value))
    return f"{argument.text}: {reason}; to give it as text, write {text}"
