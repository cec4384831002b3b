import re
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from dqh.pages import fill, templates

FOLDER = Path(templates.__file__).parent
EVIL = """<script>"x" & 'y'</script>"""
SAFE = "&lt;script&gt;&#34;x&#34; &amp; &#39;y&#39;&lt;/script&gt;"
NAMES = sorted(file.stem for file in FOLDER.glob("*.html"))


def test_texts_are_escaped_and_html_is_not() -> None:
    assert fill("note", text=EVIL) == f'<p class="note">{SAFE}</p>'
    assert fill("note", text=Markup("a <b>b</b>")) == '<p class="note">a <b>b</b></p>'
    assert fill("figure", content=fill("note", text="<"), legend=EVIL, about=EVIL) == (
        f'<figure><p class="note">&lt;</p><figcaption>{SAFE}<small>{SAFE}</small></figcaption></figure>'
    )


def test_what_is_no_character_becomes_a_question_mark() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert fill("note", text=name) == '<p class="note">caf?</p>'


def test_a_value_that_is_not_given_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        fill("note")


@pytest.mark.parametrize("name", NAMES)
def test_every_template_reads(name: str) -> None:
    templates._templates().get_template(f"{name}.html")


def test_only_our_own_pictures_pass_unescaped() -> None:
    assert len(NAMES) > 10
    passing = {name: re.findall(r"\|\s*safe", (FOLDER / f"{name}.html").read_text(encoding="utf-8")) for name in NAMES}
    assert {name for name, times in passing.items() if times} == {"parts"}
    assert "autoescape" not in "".join((FOLDER / f"{name}.html").read_text(encoding="utf-8") for name in NAMES)


def test_jinja_is_not_imported_before_the_first_page() -> None:
    program = "import sys, dqh.pages; print('jinja2' in sys.modules); dqh.pages.fill('note', text='')"
    program += "; print('jinja2' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "True"]
