"""Configurations: what is wrong with one, the objects that it describes, and how one differs from another.

A configuration is a plain nested dict. Its top level holds plain values and nodes; a node is a mapping with
`_target_`, the dotted path of a constructor, whose other keys are the constructor's keyword arguments. Composing it
from files and a command line is not done here, only explained where it fails (`composition`). Each name is imported
when it is first used.
"""

from typing import TYPE_CHECKING

from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.config.composition import explain_composition
    from dqh.config.kinds import Node
    from dqh.config.leaving import exit_status, open_keys, start
    from dqh.config.names import differences, flatten, nearest
    from dqh.config.nodes import build, check, completed, with_later_defaults
    from dqh.config.problems import FAILED, Problems
    from dqh.config.signatures import derives_in_file, signature_in_file

__all__ = [
    "FAILED",
    "Node",
    "Problems",
    "build",
    "check",
    "completed",
    "derives_in_file",
    "differences",
    "exit_status",
    "explain_composition",
    "flatten",
    "nearest",
    "open_keys",
    "signature_in_file",
    "start",
    "with_later_defaults",
]

_MODULES = {
    "composition": ("explain_composition",),
    "kinds": ("Node",),
    "leaving": ("exit_status", "open_keys", "start"),
    "names": ("differences", "flatten", "nearest"),
    "nodes": ("build", "check", "completed", "with_later_defaults"),
    "problems": ("FAILED", "Problems"),
    "signatures": ("derives_in_file", "signature_in_file"),
}

__getattr__, __dir__ = lazily(__name__, _MODULES, __all__)
