r"""Commands that a message tells to give: they run when they are pasted into a shell, whatever the paths in them.

A path may hold blanks, quotes, `=`, `(`, `,`, ends of lines, letters of any language, and bytes that are no text. The
shell reads each word first, and of a setting of `train.py` and `evaluate.py` hydra reads the value once more.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

_NO_TEXTS = ("null", "true", "false", "nan", "inf")
"""Words that hydra takes for values of other kinds."""


def command(*words: str | Path) -> str:
    """A line for a shell; a `Path` is one word, and never an option, whatever it begins with.

    Example:
        >>> command("dqh", "compact", Path("my index"))
        "dqh compact 'my index'"
    """
    return " ".join(_word(_operand(word) if isinstance(word, Path) else word) for word in words)


def command_line(argv: Sequence[str]) -> str:
    """The line that starts the same script again.

    Example:
        >>> command_line(["train.py", "bits=32", "data.root=my images"])
        "python train.py bits=32 'data.root=my images'"
    """
    return command("python", *argv)


def setting(key: str, value: str | Path) -> str:
    r"""`key=value` as hydra reads it, whatever the text holds; a word of a command.

    Example:
        >>> print(setting("artifact", "runs/a"), setting("artifact", "runs/bits=8,seed=0"))
        artifact=runs/a artifact="runs/bits=8,seed=0"
    """
    text = str(value)
    if re.fullmatch(r"[A-Za-z_/.][\w/.+@-]*", text, re.ASCII) and text.lower() not in _NO_TEXTS:
        return f"{key}={text}"
    # OmegaConf reads ${ as a reference, unless a backslash is before it, and halves the backslashes there
    literal = re.sub(r"(\\*)\$\{", lambda match: f"{match[1] * 2}\\${{", text)
    quoted = re.sub(r'(\\*)("|\Z)', _quote, literal)  # hydra halves the backslashes before a quote alone
    return f'{key}="{quoted}"'


def _quote(match: "re.Match[str]") -> str:
    return match[1] * 2 + ('\\"' if match[2] else "")


def _operand(path: Path) -> str:
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def _word(text: str) -> str:
    r"""A word for a shell; letters that cannot be shown as the escapes of `$'…'`, which bash and zsh know."""
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_letter, text))}'"


def _letter(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))
