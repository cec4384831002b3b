import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dqh.evaluation.report.codebook_usage import (
    codebook_findings,
    codebook_pictures,
    codeword_use,
    usage_of,
)

PROTOCOL = {"bits": 8, "database": 1000}
HEALTH = {"kind": "pq", "perplexity": [16.0, 4.0], "dead": [0, 8], "error": 0.125}
SHARED = {
    "items": 8,
    "distinct": 4,
    "expected_distinct": 7.9,
    "colliding": 0.75,
    "sharing": [2, 2, 4],
    "largest": [4, 2, 1, 1],
}


def usage(**changes):
    found = usage_of({"protocol": PROTOCOL, "health": HEALTH | changes})
    assert found is not None
    return found


def found_in(**changes):
    health = HEALTH | changes
    return [" ".join(sentence.split()) for sentence in codebook_findings(usage(**changes), health)]


def bars(svg, colour):
    """Heights of the bars of a colour, those of each picture element together, in units of the SVG."""
    found = []
    for path in re.findall(r'<path d="([^"]*)"[^>]*style="fill: ' + re.escape(f"var(--series-{colour},"), svg):
        for bar in path.split("z"):
            corners = np.array([pair.split() for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", bar)], float)
            if len(corners) >= 4:
                found.append(np.ptp(corners[:, 1]))
    return found


def test_the_number_of_codewords_comes_from_the_bits():
    """8 bits in 2 subspaces are 4 bits a subspace: 2^4 = 16 codewords."""
    read = usage()
    assert (read.subspaces, read.codewords, read.items, read.error) == (2, 16, 1000, 0.125)


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"health": HEALTH},
        {"protocol": PROTOCOL},
        {"protocol": PROTOCOL, "health": HEALTH | {"kind": "binary"}},
        {"protocol": PROTOCOL, "health": {"kind": "pq"}},
    ],
)
def test_without_codebooks_or_bits_nothing_is_known(metrics):
    assert usage_of(metrics) is None


def test_two_subspaces_in_words():
    """Log2 16 + log2 4 = 6 of 8 bits; 8 of 32 codewords are dead, all in subspace 1, where 8 > 10 % of 16."""
    assert found_in() == [
        "A subspace has 16 codewords and uses them as evenly as 4.0 to 16.0 equally frequent ones (perplexity), 10.0 "
        "in the mean of 2; if subspaces were independent, codes of this use would carry 6.0 of 8 bits.",
        "8 of 32 codewords are dead, no item has them: 0 to 8 in a subspace. 1 of 2 subspaces (1) have more than 10 % "
        "of theirs dead: room in the code that tells nothing; fewer codewords in more subspaces would use it.",
        "Quantization loses 12.5 % of the embedding (mean ‖z − y‖² over mean ‖z‖², y the decoded code of z).",
    ]


def test_every_codeword_in_use():
    assert found_in(dead=[0, 0])[1] == "Every one of the 32 codewords has an item."


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"perplexity": [5.0, 4.0]}, 0, "That is under 50 % of the codewords: training by class can lead to it"),
        ({"error": 0.75}, 2, "Distances to codes then say little of distances to embeddings"),
        ({"error": 0.0}, 2, "That is next to nothing"),
    ],
)
def test_what_is_far_from_usual_is_explained_and_not_called_an_error(changes, place, words):
    assert not any(words in sentence for sentence in found_in())
    text = found_in(**changes)[place]
    assert words in text
    assert not any(word in text.lower() for word in ("bad", "wrong", "poor", "warning", "collapse"))


def test_distinct_codes_are_told_and_drawn_where_they_are_known():
    assert found_in(**SHARED)[-1].startswith("4 distinct codes among 8 items (uniformly random ones: 8); 75 % of the")
    health = HEALTH | SHARED
    pictures = codebook_pictures(usage(), health)
    assert [picture.name for picture in pictures] == ["codewords", "collisions"]
    assert [picture.name for picture in codebook_pictures(usage(), HEALTH)] == ["codewords"]
    assert all(picture.legend.startswith("1,000 codes of 8 bits, 2 subspaces of 16 codewords.") for picture in pictures)
    ids = [each for picture in pictures for each in re.findall(r'\bid="([^"]*)"', picture.svg)]
    assert len(ids) == len(set(ids))
    assert all(each.startswith("health-") for each in ids)


def test_an_error_that_is_not_known_is_not_told():
    assert len(found_in(error=None)) == 2


def test_bars_are_perplexity_over_codewords_in_use():
    """Subspace 0: 16 in use, perplexity 16; subspace 1, half dead and orange: 8 in use, perplexity 4."""
    svg = codeword_use(usage())
    whole, orange = bars(svg, 1), bars(svg, 2)
    assert np.array(whole) / whole[0] == pytest.approx([1, 1], abs=1e-3)
    assert np.array(orange) / whole[0] == pytest.approx([1 / 2, 1 / 4], abs=1e-3)
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "Use of the codewords: perplexity 4.0 to 16.0 of 16 in 2 subspaces, 8 dead"
    assert codeword_use(usage()) == svg


def test_many_subspaces_and_codewords_stay_small():
    read = usage(perplexity=[3.0] * 4, dead=[1] * 4)._replace(perplexity=(9000.0,) * 128, dead=(10,) * 128)
    assert len(codeword_use(read._replace(codewords=65536))) < 60_000
