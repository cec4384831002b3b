"""The picture of a sweep: where its points stand."""

import pytest
from matplotlib.axes import Axes

from dqh.training.sweep_plot import draw, pictures
from dqh.training.sweep_summary import Combination, Spread


def combination(search: str, mean: float, sd: float | None = 0.01, /, **settings: str) -> Combination:
    main = search in ("binary", "aqd_l2")
    return Combination(settings, search, 1 if sd is None else 2, {"mAP@all": Spread(mean, sd)}, main)


def lines(combinations: list[Combination], about: str = "") -> tuple[Axes, dict[str, list[float]]]:
    figure = draw(combinations, about=about)
    assert figure is not None
    (axis,) = figure.axes
    drawn = {box.get_label(): list(box.lines[0].get_ydata()) for box in axis.containers}
    return axis, {str(label): [float(y) for y in values] for label, values in drawn.items()}


def test_a_line_for_each_way_of_searching_over_the_bits_in_order() -> None:
    axis, found = lines(
        [
            combination("binary", 0.9, bits="128"),
            combination("binary", 0.7, bits="16"),
            combination("exhaustive", 0.8, None, bits="16"),
            combination("untrained", 0.1, bits="16"),
            combination("itq", 0.2, bits="16"),
        ]
    )
    assert found == {"binary": [0.7, 0.9], "exhaustive": [0.8]}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["16", "128"]
    assert axis.get_xlabel() == "bits of a code"
    assert axis.get_title(loc="left") == "mAP@all against bits, mean ± sd over 1–2 seeds"
    (bars,) = axis.containers[0].lines[2]
    assert [[y for _, y in bar] for bar in bars.get_segments()] == [
        pytest.approx([0.69, 0.71]),
        pytest.approx([0.89, 0.91]),
    ]


def test_what_was_measured_stands_below_the_axis() -> None:
    about = "data digits · split counts · 300 queries · 1,497 database items · convention default · ties expected"
    axis, _ = lines([combination("binary", mean, bits=bits) for bits, mean in (("16", 0.5), ("32", 0.6))], about)
    first, *rest = axis.get_xlabel().splitlines()
    assert first == "bits of a code"
    assert len(rest) == 2
    assert " ".join(rest) == about


def test_a_line_for_each_value_of_a_further_setting() -> None:
    axis, found = lines(
        [
            combination("binary", 0.5, None, bits="16", backbone="alexnet"),
            combination("binary", 0.6, None, bits="32", backbone="alexnet"),
            combination("exhaustive", 0.9, None, bits="32", backbone="alexnet"),
            combination("binary", 0.7, None, bits="16", backbone="vgg16"),
        ]
    )
    assert found == {"binary, backbone=alexnet": [0.5, 0.6], "binary, backbone=vgg16": [0.7]}
    assert axis.get_title(loc="left") == "mAP@all against bits, one seed"


def test_each_method_is_drawn_by_the_row_of_its_own_codes() -> None:
    _, found = lines(
        [
            combination("binary", 0.5, bits="16", method="dlbhc"),
            combination("aqd_l2", 0.6, bits="16", method="dqn"),
            combination("sqd_l2", 0.4, bits="16", method="dqn"),
            combination("aqd_l2", 0.7, bits="32", method="dqn"),
        ]
    )
    assert found == {"binary, method=dlbhc": [0.5], "aqd_l2, method=dqn": [0.6, 0.7]}


def test_without_bits_the_first_setting_that_varies() -> None:
    axis, _ = lines([combination("binary", 0.5, lr=lr, bits="16") for lr in ("1e-2", "1e-3", "0.1")])
    assert axis.get_xlabel() == "lr"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1e-3", "1e-2", "0.1"]
    axis, _ = lines([combination("binary", 0.5, data=name, bits="16") for name in ("mnist", "digits")])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["digits", "mnist"]


def test_values_that_are_no_number_come_first() -> None:
    axis, _ = lines([combination("binary", 0.5, hidden=width, bits="16") for width in ("1024", "null", "128")])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["null", "128", "1024"]


def test_what_a_perfect_ranking_scores_stands_below_what_was_measured() -> None:
    combinations = [combination("binary", mean, bits=bits) for bits, mean in (("16", 0.5), ("32", 0.6))]
    figure = draw(combinations, about="data digits", ceiling="a perfect ranking scores mAP@all 0.9333")
    assert figure is not None
    assert figure.axes[0].get_xlabel().splitlines()[1:] == [
        "data digits",
        "a perfect ranking scores mAP@all 0.9333",
    ]


def test_nothing_to_draw() -> None:
    assert draw([]) is None
    assert draw([combination("binary", 0.5, bits="16"), combination("exhaustive", 0.5, bits="16")]) is None
    assert draw([Combination({"bits": bits}, "binary", 1, {}) for bits in ("16", "32")]) is None


def test_the_same_numbers_give_the_same_files() -> None:
    combinations = [combination("binary", 0.5, bits=bits) for bits in ("16", "32")]
    first, again = (pictures(figure) for figure in (draw(combinations), draw(combinations)) if figure)
    assert first == again
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]


def test_detectors_are_drawn_by_their_ap() -> None:
    combinations = [
        Combination({"method.iou": iou}, "boxes", 1, {"AP@.5": Spread(mean, None), "AR@100": Spread(0.9, None)}, True)
        for iou, mean in (("0.7", 0.6), ("0.5", 0.4))
    ]
    axis, drawn = lines(combinations)
    assert drawn == {"boxes": [0.4, 0.6]}
    assert axis.get_title(loc="left") == "AP@.5 against method.iou, one seed"
    assert axis.get_ylabel() == "AP@.5"
