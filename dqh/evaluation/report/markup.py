"""Small pieces of HTML for a report: escaped text, figures with captions, sections, boxes that scroll sideways."""

import html


def escape(value: object) -> str:
    """The value as escaped text; what is no character (a file name that is not UTF-8) becomes "?"."""
    return html.escape(str(value).encode("utf-8", "replace").decode())


def note(text: str) -> str:
    """A sentence in small print; `text` is HTML, or "" for nothing."""
    return f'<p class="note">{text}</p>' if text else ""


def scroll(label: str, content: str) -> str:
    """A box around something wide: it scrolls sideways, with the keyboard too, and the page does not."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def figure(content: str, legend: str, *, about: str) -> str:
    """A picture or table with its caption.

    Args:
        content: the picture, HTML.
        legend: what it shows, plain text.
        about: of what data, by which protocol, plain text; in smaller print.
    """
    small = f"<small>{escape(about)}</small>" if about else ""
    return f"<figure>{content}<figcaption>{escape(legend)}{small}</figcaption></figure>"


def details(summary: str, content: str) -> str:
    """Content that is folded away behind a line to click; works without script and opens in print."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def section(name: str, title: str, content: str) -> str:
    """A section under a heading, with `name` as its address in the page."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{escape(title)}</h2>\n'
        f"{content}\n</section>"
    )
