"""Related items: what people save beside an item of an index, out of a log, ranked by what it looks like and by counts.

A log (`action_log`) becomes shows and saves (`impressions`), with the bias of positions taken out (`examination`,
`propensity`), counts of items and pairs (`log_counts`, `saved_together`), and lists to learn from (`lessons`) with
features (`looks`, `pair_features`); two rankers learn from them (`rank_svm`, `lambda_mart`). `related_fit` does all of
it, `related_model` keeps it, `related_items` serves it. `interleaving` is a test of two rankers on people, and
`simulation` people that are made up.
"""

from typing import TYPE_CHECKING

from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.discovery.related.action_log import ActionLog, read_action_log
    from dqh.discovery.related.interleaving import team_draft, wins
    from dqh.discovery.related.related_answer import RelatedAnswer, RelatedItem
    from dqh.discovery.related.related_fit import fit_related
    from dqh.discovery.related.related_items import RelatedItems, open_related
    from dqh.discovery.related.related_model import RelatedModel, read_related

__all__ = [
    "ActionLog",
    "RelatedAnswer",
    "RelatedItem",
    "RelatedItems",
    "RelatedModel",
    "fit_related",
    "open_related",
    "read_action_log",
    "read_related",
    "team_draft",
    "wins",
]

_MODULES = {
    "action_log": ("ActionLog", "read_action_log"),
    "interleaving": ("team_draft", "wins"),
    "related_fit": ("fit_related",),
    "related_answer": ("RelatedAnswer", "RelatedItem"),
    "related_items": ("RelatedItems", "open_related"),
    "related_model": ("RelatedModel", "read_related"),
}

__getattr__, __dir__ = lazily(__name__, _MODULES, __all__)
