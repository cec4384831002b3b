"""Hydra's composition errors in one clear message each, with the nearest valid name. It reads texts, never hydra."""

import re
from collections.abc import Sequence

from dqh.commands import command, setting
from dqh.config.names import hint, nearest

# What hydra 1.3 and OmegaConf 2.3 say, and what is said instead. {given}: the argument that {key} or {key}={choice}
# comes from; {near}: the nearest known key and the valid ones; {choices}: the same for the choices of a group.
_OPTIONS = r"\n(?P<options>(?:\t\S+\n?)*)"
_PLACE = r"(?s:.*)full_key: (?P<place>\S+)"
_EXPLANATIONS = (
    (
        r"Could not find '(?P<key>\S+)/(?P<choice>[^'/]*)'\s*Available options in '(?P=key)':" + _OPTIONS,
        "{given}: no such choice of {key}{choices}",
    ),
    (
        r"(?:In '(?P<file>.*)': )?Could not find '(?P<key>[^']*)'",
        "{given}: no such file, named in {file}{near}",
    ),
    (r"Cannot find primary config '(?P<key>[^']*)'", "{key}: there is no configuration of this name"),
    (
        r"(?:In '(?P<file>.*)': )Could not override '(?P<key>[^']*)'\. No match in the defaults list",
        "{file}: 'override /{key}' names no group{near}",
    ),
    (r"Could not override '(?P<key>[^']*)'", "{given}: no such key{near}"),
    (
        r"An item is already at '(?P<key>[^']*)'",
        "{given}: {key} is in the configuration already; leave out the +",
    ),
    (
        r"Multiple values for (?P<key>\S+)\. .*'override \S+: (?P<choice>[^']*)'",
        "{given}: {key} is chosen already; write {key}={choice} (in a file: override /{key}: {choice})",
    ),
    (
        r"You must specify '(?P<key>[^']*)', e\.g.*\nAvailable options:" + _OPTIONS,
        "{key}: nothing chosen; write {key}=NAME{choices}",
    ),
    (r"Could not delete from config\. '(?P<key>[^']*)' does not exist", "{given}: no such key{near}"),
    (
        r"Could not delete from config\. The value of '(?P<key>[^']*)' is (?P<detail>.*) and not",
        "{given}: the value of {key} is {detail}; write ~{key} to delete it whatever it is",
    ),
    (
        r"Ambiguous value for argument '(?P<key>[^=]*)=(?P<choice>.*)'\n",
        "{given}: several values; write '{key}=[{choice}]' for a list, or add --multirun for a run with each",
    ),
    (
        r"Sweep parameters '(?P<key>[^=]*)=(?P<choice>.*)' requires --multirun",
        "{given}: several values; add --multirun for a run with each",
    ),
    (
        r"Interpolation key '(?P<key>[^']*)' not found" + _PLACE,
        "{place}: refers to ${{{key}}}, which is not in the configuration{near}",
    ),
    (r"Missing mandatory value: (?P<key>\S+)", "{key}: no value given; write {key}=VALUE"),
    (
        r"Unsupported interpolation type (?P<detail>\S+)" + _PLACE,
        "{place}: ${{{detail}:…}} is not known; write ${{KEY}} to refer to another key",
    ),
    (r"raised while resolving interpolation: \"?(?P<detail>.*?)\"?\n" + _PLACE, "{place}: {detail}"),
    (r"Recursive interpolation detected" + _PLACE, "{place}: refers to itself in a circle"),
    (
        r"input '(?P<detail>\$.*)'" + _PLACE,
        "{place}: {detail} cannot be read; write ${{KEY}} to refer to another key",
    ),
)
_SYNTAX = (
    r"unrecognized arguments: (?P<argument>\S+)",
    r"LexerNoViableAltException: (?P<argument>.*)\n",
    r"Error parsing override '(?P<argument>.*)'\n(?:\w+ while evaluating '.*': (?P<reason>.*))?",
    r"(?:mismatched|extraneous|viable alternative at) input '(?P<token>.*)'",
)
_NOISE = r"See https://hydra\.cc.*|Set the environment variable HYDRA_FULL_ERROR.*|(?:object|reference)_type=.*"
_CLOSING = {"[": "]", "{": "}", "'": "'", '"': '"'}


def explain_composition(message: str, known_keys: Sequence[str], argv: Sequence[str]) -> str:
    r"""One line that says what is wrong with a command line or with the files that it names.

    Args:
        message: the text of the error that composing raised, and of its cause on further lines where it has one.
        known_keys: all dotted keys of the default configuration, and the names of the groups.
        argv: the arguments, without the script's name.

    Returns:
        `argument or key: what is wrong; next step`; the message itself, on one line, where it is not understood.

    Example:
        >>> error = "Could not override 'trainer.epoch'.\nTo append to your config use +trainer.epoch=3"
        >>> explain_composition(error, ["bits", "trainer.epochs"], ["trainer.epoch=3"])
        'trainer.epoch=3: no such key; did you mean trainer.epochs? valid: epochs'
    """
    if "Config group override must be a string" in message:
        return _explain_unnamed_choice(known_keys, argv)
    for pattern, explanation in _EXPLANATIONS:
        if match := re.search(pattern, message):
            return _filled(explanation, match.groupdict(), known_keys, argv=argv)
    for pattern in _SYNTAX:
        match = re.search(pattern, message)
        argument = _argument(match.groupdict(), argv) if match else None
        if match and argument is not None:
            return _explain_syntax(argument, match.groupdict().get("reason"), known_keys)
    return " ".join(re.sub(_NOISE, "", message).split())


def _filled(explanation: str, found: dict[str, str | None], known: Sequence[str], *, argv: Sequence[str]) -> str:
    key, choice = (found.get("key") or "").lstrip("/"), found.get("choice")
    assignment = key if choice is None else f"{key}={choice}"
    bare = [argument.lstrip("+~") for argument in argv]
    fitting = (
        argument
        for argument, each in zip(argv, bare, strict=True)
        if each == assignment or (choice is None and each.partition("=")[0] == key)
    )
    words = {name: value or "a file" for name, value in found.items()} | {
        "key": key,
        "given": next(fitting, assignment if choice is None else f"{assignment} (asked for by a file)"),
        "near": "" if key in known else hint(key, known, listed=_siblings(key, known)),
    }
    options = (found.get("options") or "").split()
    prefix = f"{key}=" if choice is not None else ""
    words["choices"] = hint(choice or "", options, listed=options, prefix=prefix)
    return explanation.format(**words)


def _siblings(key: str, known: Sequence[str]) -> list[str]:
    """The valid names at the place of `key`, or at the nearest place above it that exists."""
    parent = key.rpartition(".")[0]
    while parent and not any(name.startswith(f"{parent}.") for name in known):
        parent = parent.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    return list(dict.fromkeys(name[len(start) :].partition(".")[0] for name in known if name.startswith(start)))


def _explain_unnamed_choice(known: Sequence[str], argv: Sequence[str]) -> str:
    """The message for a group that is given a number, true, false or null; hydra does not say which group."""
    groups = {name.partition(".")[0] for name in known if "." in name} | {""}
    for argument in argv:
        match = re.fullmatch(r"(?i)[+~]*([^=]*)=(null|true|false|[-+.\de]+)", argument)
        if match and match[1] in groups:
            return f"{argument}: wanted the name of a choice, as in {match[1] or 'KEY'}=NAME"
    return "a group of settings is given a value; wanted the name of a choice, as in KEY=NAME"


def _argument(found: dict[str, str | None], argv: Sequence[str]) -> str | None:
    """The argument that a syntax error is about; where it names a token alone, the likeliest one with the token."""
    if "token" not in found:
        return found["argument"]
    token = found["token"] or ""

    def unlikely(argument: str) -> tuple[bool, bool, bool]:
        value = argument.partition("=")[2]
        closed = len(value) > 1 and _CLOSING.get(value[0]) == value[-1]
        return token not in value, not value.endswith(token), closed

    return min((argument for argument in argv if token in argument), key=unlikely, default=None)


def _explain_syntax(argument: str, reason: str | None, known: Sequence[str]) -> str:
    key, equals, value = argument.partition("=")
    name = re.match(r"[-+~]*([\w./]*)", key)
    near = nearest(name[1], known) if name else None
    if not equals or argument.startswith("-"):
        return f"{argument}: settings are written KEY=VALUE{f'; did you mean {near}=VALUE?' if near else ''}"
    if not re.fullmatch(r"[+~]{0,2}[\w./-]+(@[\w./-]+)?", key):
        return f"{argument}: {key} is no key{f'; did you mean {near}=VALUE?' if near else ''}"
    opening = value.lstrip("$")[:1]
    closing = _CLOSING.get(opening)
    if closing and value.count(closing) < (2 if closing == opening else value.count(opening)):
        return f"{argument}: {opening} is not closed; write {command(argument + closing)}"
    text = command(setting(key, value))
    return f"{argument}: {reason or 'the value cannot be read'}; to give it as text, write {text}"
