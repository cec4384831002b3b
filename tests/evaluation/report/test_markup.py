from dqh.evaluation.report.markup import details, escape, figure, note, scroll, section

EVIL = '<b>"x"</b>'
SAFE = "&lt;b&gt;&quot;x&quot;&lt;/b&gt;"


def test_a_file_name_that_is_no_text_is_shown_with_question_marks():
    assert escape(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf?"
    assert escape("é <&>\"'") == "é &lt;&amp;&gt;&quot;&#x27;"


def test_labels_legends_and_titles_are_texts_and_contents_are_html():
    assert scroll(EVIL, "<p>a</p>") == (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{SAFE}"><p>a</p></div>'
    )
    assert figure("<p>a</p>", EVIL, about=EVIL) == (
        f"<figure><p>a</p><figcaption>{SAFE}<small>{SAFE}</small></figcaption></figure>"
    )
    assert details(EVIL, "<p>a</p>") == f"<details><summary>{SAFE}</summary><p>a</p></details>"
    assert section("made", EVIL, "<p>a</p>") == (
        f'<section id="made" aria-labelledby="made-title"><h2 id="made-title">{SAFE}</h2>\n<p>a</p>\n</section>'
    )


def test_nothing_to_say_is_no_element():
    assert note("") == ""
    assert note("a <b>b</b>") == '<p class="note">a <b>b</b></p>'
    assert figure("", "legend", about="") == "<figure><figcaption>legend</figcaption></figure>"
