"""Fills the templates of this folder: names on the left of a page are files, what stands in them is escaped.

Templates say how a page looks; what it shows is computed by who fills them.
"""

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment


def fill(template: str, **values: object) -> Markup:
    """The HTML of a template with values in their places.

    Args:
        template: name of the file, without `.html`.
        values: by name, what the template reads. Texts are escaped, `Markup` (what this function returns) is not; what
            is no character (part of a file name that is not UTF-8) becomes "?".

    Raises:
        jinja2.UndefinedError: a value that the template reads is not given.

    Example:
        >>> fill("note", text="a < b")
        Markup('<p class="note">a &lt; b</p>')
    """
    text = _templates().get_template(f"{template}.html").render(values)
    return Markup(text.strip().encode("utf-8", "replace").decode())


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # not needed by who only imports us

    return Environment(
        loader=PackageLoader("dqh.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
