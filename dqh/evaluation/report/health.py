"""The health of the database codes on a report: findings in words, pictures, a map of the codes."""

from collections.abc import Mapping

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.report.health_findings import findings
from dqh.evaluation.report.health_plots import health_pictures
from dqh.evaluation.report.markup import escape, figure
from dqh.evaluation.report.table import caption, mapping_at


def health_content(metrics: Mapping[str, object], code_map: CodeMap | None) -> str:
    """Sentences and pictures about the codes; "" where nothing is known of them."""
    health, about = mapping_at(metrics, "health"), caption(mapping_at(metrics, "protocol"), settings=())
    sentences = findings(health) if health else []
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    figures = "\n".join(
        figure(picture.svg, picture.legend, about=about) for picture in health_pictures(health, code_map)
    )
    return (f'<ul class="findings">{items}</ul>' if items else "") + (
        f'<div class="plots">{figures}</div>' if figures else ""
    )
