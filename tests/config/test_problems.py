import pytest

from dqh.config import FAILED, Node, Problems, check
from dqh.errors import ConfigError, DataError, TooManyBadImagesError

GONE = {"_target_": "shop.training.Folder", "root": "gone"}
GONE_MESSAGE = "data: gone does not exist; unpack the images there"
METHOD = {"_target_": "shop.training.Method", "bits": 0}
SGD = {"_target_": "shop.training.SGD", "lr": "fast"}


def positive(bits):
    if bits < 1:
        raise ValueError(f"bits must be 1 or more, got {bits}")
    return bits


def test_everything_sound():
    with Problems() as problems:
        folder = problems.build({"data": {**GONE, "root": "here"}}, "data")
        bits = problems.call(positive, 8)
        nothing = problems.build({"data": None}, "data")
    assert (folder.root.name, bits, nothing) == ("here", 8, None)


def test_independent_mistakes_are_raised_together():
    config = {"bits": 0, "data": GONE, "method": METHOD, "optimizer": SGD, "optimiser": 3}
    fields = {"bits": int, "data": Node, "method": Node, "optimizer": Node}
    supplied = {"backbone": "resnet", "classes": 3}

    def run():
        with Problems(check(config, fields, supplied={"method": supplied})) as problems:
            source = problems.build(config, "data")
            made = [source, problems.build(config, "optimizer"), problems.build(config, "method", **supplied)]
            made += [problems.call(positive, config["bits"]), problems.call(len, source)]
            made += [problems.build(config, "method", backbone=source, classes=3)]
            assert made == [FAILED] * 6

    with pytest.raises(ConfigError) as raised:
        run()
    assert raised.value.problems == (
        'optimizer.lr: got "fast", wanted float',
        "optimiser: no such key; did you mean optimizer? valid: bits, data, method, optimizer",
        GONE_MESSAGE,
        "method: bits must be 1 or more, got 0",
        "bits must be 1 or more, got 0",
    )
    assert raised.value.exit_status == 2


@pytest.mark.parametrize(
    ("node", "error", "message"),
    [
        (GONE, DataError, GONE_MESSAGE),
        (
            {"_target_": "shop.training.fail", "kind": "bad"},
            TooManyBadImagesError,
            "data: 7 of 9 images are bad",
        ),
        ({"_target_": "shop.training.fail", "kind": "config"}, ConfigError, "data: one\ndata: two"),
        ({"_target_": "shop.training.fail"}, ConfigError, "data: no good"),
        (SGD, ConfigError, 'data.lr: got "fast", wanted float'),
    ],
)
def test_a_single_error_keeps_its_class(node, error, message):
    with pytest.raises(error) as raised, Problems(check({"data": node}, {"data": Node})) as problems:
        assert problems.build({"data": node}, "data") is FAILED
    assert (type(raised.value), str(raised.value)) == (error, message)


def test_a_value_repeated_in_a_node_is_reported_once():
    config = {"bits": "a", "method": {**METHOD, "bits": "a"}}
    problems = Problems(check(config, {"bits": int, "method": Node}, supplied={"method": ["backbone", "classes"]}))
    with pytest.raises(ConfigError, match=r'^bits: got "a", wanted int$'), problems:
        problems.build(config, "method", backbone=1, classes=2)


def test_the_cause_is_raised_not_its_consequence():
    with pytest.raises(DataError, match=f"^{GONE_MESSAGE}$") as raised, Problems() as problems:
        problems.build({"data": GONE}, "data").labels.sum()
    assert isinstance(raised.value.__cause__, AttributeError)


def test_an_error_raised_in_the_block_joins_the_report():
    with pytest.raises(ConfigError, match=r"^bits: missing\ntoo small$"), Problems(["bits: missing"]):
        raise DataError("too small")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interruptions_pass(error):
    with pytest.raises(error), Problems(["bits: missing"]):
        raise error


@pytest.mark.parametrize("error", [OSError, ValueError, DataError])
def test_errors_pass_where_nothing_was_collected(error):
    with pytest.raises(error, match=r"^full$") as raised, Problems():
        raise error("full")
    assert type(raised.value) is error


def test_a_misspelt_key_does_not_hide_an_impossible_value_of_the_same_node() -> None:
    config = {"backbone": {"_target_": "dqh.models.SmallResNet", "widht": 3, "tap": "fc9"}}
    with pytest.raises(ConfigError) as caught, Problems() as problems:
        assert problems.build(config, "backbone") is FAILED
    misspelt, impossible = caught.value.problems
    assert misspelt.startswith("backbone.widht: no such key")
    assert impossible == "backbone: tap must be one of stage1, stage2, pool for small_resnet, got 'fc9'"
