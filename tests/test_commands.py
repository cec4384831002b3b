"""Commands run when they are pasted: through bash, and settings through hydra and OmegaConf too."""

import ast
import os
import re
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
from dqh.data import ImageFolder
from dqh.errors import DqhError
from dqh.index.store import Writer, check, open_index
from tests.data.test_image_folder import picture
from tests.index.store.conftest import HEADER, add

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


ODD = "my photos (1), é=x"

_COMMAND = re.compile(
    r"\b(?:dqh (?:check|compact|export|index|info|remove|search(?! ranks)|verify)|rm|mv|cp -rL|python|\w+\.py|"
    r"data\.root=|artifact=|resume=)[^;,:\0]*\0"
)
"""Of a text in the source, with values that nothing has quoted as \\0."""


def _text(node: ast.AST) -> str | None:
    """A text with values in it: an f-string, or what logging gets."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            each.value
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
            else ""
            if re.match(r"\{(command|setting)\(", ast.unparse(each)[2:])
            else "\0"
            for each in node.values
        )
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        return re.sub("%[sdr]", "\0", str(node.args[0].value))
    return None


@pytest.mark.slow
def test_no_message_writes_a_value_into_a_command_by_itself() -> None:
    files = [*sorted(Path("dqh").rglob("*.py")), Path("train.py"), Path("evaluate.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    texts = {text for text in map(_text, nodes) if text is not None}
    assert len(texts) > 1000
    assert not {text for text in texts if _COMMAND.search(text)}


def messages(folder: Path) -> list[str]:
    """Those of a folder that is no index, of an index with a link inside, and of a data set of roles."""
    with pytest.raises(DqhError) as missing:
        open_index(folder / "none")
    index = folder / "index"
    with Writer(index, HEADER) as writer:
        add(writer, [0, 1])
        writer.commit()
    (index / "segments").rename(folder / "elsewhere")
    (index / "segments").symlink_to(folder / "elsewhere")
    with pytest.raises(DqhError) as linked:
        open_index(index, engine="binary_ivf")
    picture(folder / "train" / "hat" / "1.png")
    with pytest.raises(DqhError) as roles:
        len(ImageFolder(root=folder))
    return [*map(str, (missing.value, linked.value, roles.value)), str(check(index).problems[0])]


def test_commands_in_messages_run_when_they_are_pasted(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    missing, linked, roles, checked = messages(folder)
    end = re.compile(
        r"(?:make one with|what they point to:|what it points to:|what they are for:) (.*?)(?:, or data|$)"
    )
    wanted = {
        missing: ["dqh", "index", "ARTIFACT", "IMAGES", "--out", str(folder / "none")],
        linked: ["cp", "-rL", str(folder / "index"), "NEW"],
        roles: [setting("data.root", folder / "train")],
    }
    for message, words in wanted.items():
        (line,) = end.findall(message)
        assert pasted(line) == shlex.split(line) == words
    assert command("cp", "-rL", folder / "index", "NEW") in checked
