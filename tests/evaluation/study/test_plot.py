"""The picture of a feature study."""

import re
from xml.etree import ElementTree

import pytest

from dqh.evaluation.measure import Row
from dqh.evaluation.report.plots import COLOURS
from dqh.evaluation.study.plot import dot_plot

SVG = "{http://www.w3.org/2000/svg}"
FORMS = (("raw", "L2"), ("raw", "L1"), ("> 0", "Hamming"), ("> median", "Hamming"))


def rows(**networks: dict[str, tuple[float, ...]]) -> list[Row]:
    return [
        {
            "network": network,
            "weights": "none" if network == "colour_histogram" else "random",
            "tap": tap,
            "form": form,
            "distance": distance,
            "mAP@all": score,
            "bytes_per_item": 4000 if form == "raw" else 125,
        }
        for network, taps in networks.items()
        for tap, scores in taps.items()
        for (form, distance), score in zip(FORMS, scores, strict=True)
    ]


ROWS = rows(
    alexnet={"fc7": (0.1, 0.2, 0.3, 0.4), "fc8": (0.2, 0.2, 0.2, 0.2)},
    colour_histogram={"rgb512": (0.3, 0.3, 0.3, 0.3)},
)


def picture() -> str:
    return dot_plot(ROWS, metric="mAP@all", random_order=0.1, about="data <shoes>")


def test_a_file_of_its_own_light_and_dark_without_scripts_or_addresses() -> None:
    root = ElementTree.fromstring(picture())
    assert root.tag == f"{SVG}svg"
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    assert root.find(f"{SVG}rect").get("fill") == "var(--paper)"
    assert not {f"{SVG}script", f"{SVG}image"} & {element.tag for element in root.iter()}
    assert re.findall(r"https?://[^\"]*", picture()) == ["http://www.w3.org/2000/svg"]
    assert picture() == picture()


def test_every_network_tap_form_and_cost_is_named() -> None:
    shown = ["".join(element.itertext()) for element in ElementTree.fromstring(picture()).iter(f"{SVG}text")]
    for text in ("alexnet, random weights", "fc7", "fc8", "colour_histogram", "rgb512", "mAP@all by layer and form"):
        assert shown.count(text) == 1
    assert shown.count("4,000 → 125") == 3
    assert {"raw, L2", "raw, L1", "bits, > 0", "bits, > median", "random order", "data <shoes>"} <= set(shown)
    assert [text for text in shown if re.fullmatch(r"0\.\d{4}", text)] == ["0.4000"]  # the best


@pytest.mark.parametrize(("place", "scores"), [(0, [0.1, 0.2, 0.3]), (3, [0.4, 0.2, 0.3])])
def test_marks_stand_at_their_values(place: int, scores: list[float]) -> None:
    """Three marks of a form, one a tap; distances along x are as those of the values."""
    uses = re.findall(
        rf'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)" style="fill: var\(--series-{place + 1}, ', picture()
    )
    assert COLOURS[place] in picture()
    points = [(float(x), float(y)) for x, y in uses[:3]]
    assert len(points) == 3
    assert [y for _, y in points] == sorted(y for _, y in points)
    steps = [points[k + 1][0] - points[k][0] for k in range(2)]
    wanted = [scores[k + 1] - scores[k] for k in range(2)]
    assert steps[0] * wanted[1] == pytest.approx(steps[1] * wanted[0], abs=1e-3)
