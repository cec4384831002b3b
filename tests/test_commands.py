"""Commands run when they are pasted: through bash, and settings through hydra and OmegaConf too."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dqh.commands import command, command_line, setting

NAMES = (
    *("a b", "a=b", "a(b", "a,b", "café", "日本", "it's", 'a"b', "a\\", "a\\\\", '\\"', "a\\'", "${bits}", "\\${bits}"),
    *("null", "TRUE", "1", "1e5", "~a", "{a", "[a", "a]", "*", "?", "#a", "a:b", "%s", "a&b;c|d", "!a", "`a`", "$(a)"),
    *(
        " a",
        "a ",
        "",
        "-a",
        "two\nlines",
        "tab\t",
        "x\x1b[2J",
        "caf\udce9",
        "\u202eabc",
        "choice(1,2)",
        "runs/a-1.b+c@d",
    ),
)


def pasted(line: str) -> list[str]:
    """The words that bash makes of a line, each without its end."""
    program = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    given = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} {line}"
    answer = subprocess.run(["bash", "-c", os.fsencode(given)], capture_output=True, check=True)
    return [os.fsdecode(word) for word in answer.stdout.split(b"\0")]


def test_the_shell_reads_every_name_as_it_is() -> None:
    line = command("verify", *NAMES)
    assert pasted(line) == ["verify", *NAMES]
    assert line.isprintable()  # so that it can be copied from a terminal


def test_a_path_is_never_an_option() -> None:
    assert command("dqh", "verify", Path("-rf"), "--json", Path("a/-b")) == "dqh verify ./-rf --json a/-b"


def test_the_same_script_again() -> None:
    argv = ["train.py", "bits=32", "name=it's", "data.root=/my images", "x=[1,2]"]
    assert command_line(argv) == """python train.py bits=32 'name=it'"'"'s' 'data.root=/my images' 'x=[1,2]'"""


def read(setting: str) -> object:
    """The value that a script gets."""
    override = OverridesParser.create().parse_override(setting)
    return OmegaConf.create({"bits": "another key's", "value": override.value()}).value


def test_hydra_reads_every_name_as_it_is() -> None:
    settings = pasted(command(*(setting("resume", name) for name in NAMES)))
    assert [read(each) for each in settings] == list(NAMES)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.text("\\\"'${}a=, ", max_size=12)
)
@example("\\\\${a}")
def test_any_text_is_a_setting(text: str) -> None:
    assert read(setting("root", text)) == text


@pytest.mark.parametrize("name", ["runs/2026-11-28/10-00-00_dlbhc_digits_48", "/tmp/a_b/last.ckpt", "../c.d"])
def test_a_plain_path_is_not_quoted(name: str) -> None:
    assert command(setting("resume", Path(name))) == f"resume={name}"
