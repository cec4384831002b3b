"""The health of the database codes on a report: findings in words, pictures, a map of the codes."""

from collections.abc import Mapping

from markupsafe import Markup

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.report.codebook_usage import codebook_findings, codebook_pictures, usage_of
from dqh.evaluation.report.health_findings import findings
from dqh.evaluation.report.health_plots import health_pictures
from dqh.evaluation.report.table import caption, mapping_at
from dqh.pages import fill
from dqh.quantizers import QUANTIZERS, Threshold


def health_content(metrics: Mapping[str, object], code_map: CodeMap | None) -> Markup:
    """Sentences and pictures about the codes, binary or product-quantized; "" where nothing is known of them."""
    health, about = mapping_at(metrics, "health"), caption(mapping_at(metrics, "protocol"), settings=())
    usage = usage_of(metrics)
    if usage is not None:
        sentences = codebook_findings(usage, health)
        pictures = [*codebook_pictures(usage, health), *health_pictures(None, code_map)]
    else:
        kind = QUANTIZERS.get(str(health.get("kind", Threshold.kind)))
        known = {} if kind is None or "hamming" not in kind.distances else health
        sentences, pictures = findings(known) if known else [], health_pictures(known, code_map)
    figures = [(picture.svg, picture.legend, about) for picture in pictures]
    return fill("health", findings=sentences, pictures=figures)
