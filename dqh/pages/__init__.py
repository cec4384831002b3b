"""Pages that people read: templates, and `fill`, which puts values into them."""

from dqh.pages.templates import fill

__all__ = ["fill"]
