import importlib
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from dqh.config import Node, build, check, with_later_defaults
from dqh.errors import ConfigError, DataError, DqhError, TooManyBadImagesError

FIELDS = {
    "bits": int,
    "device": Literal["auto", "cpu", "cuda"],
    "resume": str | None,
    "optimizer": Node,
    "method": Node,
    "data": Node | None,
}
SUPPLIED = {"method": {"backbone", "classes"}}
SGD = {"_target_": "shop.training.SGD", "lr": 0.1}
SGD_NAMES = "lr, momentum, nesterov, schedule, betas, milestones"


def config(**changes: Any) -> dict[str, Any]:
    """A sound configuration with the dotted keys of `changes` (`__` for a dot) set; a value of ... deletes one."""
    whole: dict[str, Any] = {
        "bits": 48,
        "device": "auto",
        "resume": None,
        "optimizer": dict(SGD),
        "method": {"_target_": "shop.training.Method", "bits": 48},
        "data": {"_target_": "shop.training.Folder", "root": "images"},
    }
    for key, value in changes.items():
        *parents, last = key.split("__")
        node = whole
        for parent in parents:
            node = node[parent]
        node[last] = value
        if value is ...:
            del node[last]
    return whole


def target(path):
    return {"method": {"_target_": path}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"data": None, "resume": "runs/latest"}, []),
        ({"optimizer__lr": 1, "optimizer__betas": [0, 1], "optimizer__milestones": [3, 4]}, []),
        ({"method__optimizer": SGD, "method__callbacks": [SGD, {"deep": SGD}]}, []),
        (
            {"bitz": 3},
            ["bitz: no such key; did you mean bits? valid: bits, device, resume, optimizer, method, data"],
        ),
        (
            {"learning_rate": 3},
            [
                "learning_rate: no such key; did you mean optimizer.lr? "
                "valid: bits, device, resume, optimizer, method, data"
            ],
        ),
        ({"bits": ...}, ["bits: missing, wanted int"]),
        (
            {"optimizer__learning_rate": 0.2},
            [
                "optimizer.learning_rate: no such key of shop.training.SGD; did you mean optimizer.lr? "
                f"valid: {SGD_NAMES}"
            ],
        ),
        (
            {"optimizer__lr": ..., "optimizer__lrr": 0.2},
            [
                f"optimizer.lrr: no such key of shop.training.SGD; did you mean optimizer.lr? valid: {SGD_NAMES}",
                "optimizer.lr: missing, shop.training.SGD wants float; write +optimizer.lr=VALUE",
            ],
        ),
        (
            {"method__callbacks": [SGD, {"_target_": "shop.training.SGD", "lr": "a"}]},
            ['method.callbacks.1.lr: got "a", wanted float'],
        ),
        (
            {"method__optimizer": {"_target_": "shop.training.SGD", "lr": 1, "nesterow": True}},
            [
                "method.optimizer.nesterow: no such key of shop.training.SGD; did you mean "
                f"method.optimizer.nesterov? valid: {SGD_NAMES}"
            ],
        ),
        ({"method__classes": 10}, ["method.classes: got 10, but the program sets it itself; remove it"]),
        ({"bits": "many"}, ['bits: got "many", wanted int']),
        ({"bits": 32.0}, ["bits: got 32.0, wanted int; did you mean bits=32?"]),
        ({"bits": True}, ["bits: got true, wanted int"]),
        (
            {"device": "cdua"},
            ['device: got "cdua", wanted one of auto, cpu, cuda; did you mean device=cuda?'],
        ),
        (
            {"optimizer__schedule": "cosin"},
            [
                'optimizer.schedule: got "cosin", wanted one of cosine, constant; '
                "did you mean optimizer.schedule=cosine?"
            ],
        ),
        ({"optimizer__nesterov": 1}, ["optimizer.nesterov: got 1, wanted true or false"]),
        ({"optimizer__betas": [0.9]}, ["optimizer.betas: got [0.9], wanted a list [float, float]"]),
        (
            {"optimizer__milestones": 5},
            ["optimizer.milestones: got 5, wanted a list of int; did you mean optimizer.milestones=[5]?"],
        ),
        ({"optimizer": 3}, ["optimizer: got 3, wanted a group of settings with _target_"]),
        ({"optimizer__lr": SGD}, [f"optimizer.lr: got {str(SGD).replace(chr(39), chr(34))}, wanted float"]),
        ({"data__root": "???"}, ["data.root: no value given, wanted a path; write data.root=VALUE"]),
        ({"resume": "???"}, ["resume: no value given, wanted str or null; write resume=VALUE"]),
        (
            {"optimizer__milestones": [1, "???"]},
            ["optimizer.milestones.1: no value given, wanted a value; write optimizer.milestones.1=VALUE"],
        ),
        ({"bits": "many", "method__bits": "many"}, ['bits: got "many", wanted int']),
        ({"bits": "1", "method__bits": "1"}, ['bits: got "1", wanted int; did you mean bits=1?']),
        ({"bits": "a", "method__bits": "b"}, ['bits: got "a", wanted int', 'method.bits: got "b", wanted int']),
        (target("shop.training.Mehtod"), "no Mehtod in shop.training; did you mean shop.training.Method?"),
        (target("shop.trainig.Method"), "no trainig in shop; did you mean shop.training.Method?"),
        (target("shop.training.SGD.of.x"), "no of in shop.training.SGD"),
        (target("shop.training.price.x"), "no price in shop.training; did you mean shop.training.PRICE.x?"),
        (target("surely_not_installed.Method"), "no surely_not_installed installed"),
        (target("dqhh.errors.Method"), "no dqhh installed; did you mean dqh.errors.Method?"),
        (
            target("shop.needy.Method"),
            "shop.needy cannot be imported: No module named 'surely_not_installed'",
        ),
        (target("shop.training.PRICE"), "shop.training.PRICE is no constructor, but 3"),
        (target("shop..SGD"), 'got "shop..SGD", wanted the dotted path of a constructor'),
        (target(None), "got null, wanted the dotted path of a constructor"),
    ],
)
def test_check(changes, expected):
    lines = [f"method._target_: {expected}"] if isinstance(expected, str) else expected
    assert check(config(**changes), FIELDS, supplied=SUPPLIED) == lines


def test_check_reports_everything_at_once():
    broken = config(bits=0.5, nothing_like_it=1, optimizer__x=1, data__root=3, device="gpu")
    keys = [line.partition(":")[0] for line in check(broken, FIELDS, supplied=SUPPLIED)]
    assert keys == ["bits", "device", "optimizer.x", "data.root", "nothing_like_it"]


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (
            {"_target_": "shop.training.Strange", "thing": 1},
            ["data.thing: no such key of shop.training.Strange; valid: size, untyped"],
        ),
        ({"_target_": "shop.training.Strange", "size": "a", "untyped": [1]}, []),  # its hints cannot be resolved
        ({"_target_": "shop.training.Open", "anything": 1}, []),
        ({"_target_": "shop.training.Open", "size": "a"}, ['data.size: got "a", wanted int']),
        ({"_target_": "builtins.dict", "anything": 1}, []),
        ({"_target_": "torch.optim.SGD", "params": [], "lr": 0.1, "weight_decay": 0}, []),
    ],
)
def test_check_of_unusual_signatures(node, expected):
    assert check({"data": node}, {"data": Node}) == expected


def test_build_makes_nested_nodes_tuples_and_paths():
    sgd = {**SGD, "betas": [0.5, 1], "milestones": [1, 2]}
    node = {"_target_": "shop.training.Method", "bits": 8, "optimizer": sgd, "callbacks": [sgd, {"a": sgd}, 3]}
    folder = {"_target_": "shop.training.Folder", "root": "images", "extensions": [".jpg"]}
    whole = {"method": node, "data": folder, "augment": None}

    method = build(whole, "method", backbone="resnet", classes=10)
    optimizer = importlib.import_module("shop.training").SGD(lr=0.1, betas=(0.5, 1), milestones=[1, 2])
    assert (method.backbone, method.classes, method.bits) == ("resnet", 10, 8)
    assert method.optimizer == optimizer
    assert isinstance(method.optimizer.betas, tuple)
    assert method.callbacks == [optimizer, {"a": optimizer}, 3]
    assert (build(whole, "data").root, build(whole, "data").extensions) == (Path("images"), (".jpg",))
    assert build(whole, "augment") is None
    assert node["optimizer"] is sgd, "the configuration stays as it is"


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("value", ConfigError, "data: no good"),
        ("silent", ConfigError, "data: ValueError"),
        ("type", ConfigError, "data: no good"),
        ("config", ConfigError, "data: one\ndata: two"),
        ("bad", TooManyBadImagesError, "data: 7 of 9 images are bad"),
        ("plain", DqhError, "data: odd"),
        ("os", FileNotFoundError, "nowhere"),
    ],
)
def test_build_names_the_node_in_errors(kind, error, message):
    with pytest.raises(error) as raised:
        build({"data": {"_target_": "shop.training.fail", "kind": kind}}, "data")
    assert (type(raised.value), str(raised.value)) == (error, message)


@pytest.mark.parametrize(
    ("node", "error", "message"),
    [
        (
            {"_target_": "shop.training.Open", "inner": {"_target_": "shop.training.Folder", "root": "gone"}},
            DataError,
            "data.inner: gone does not exist; unpack the images there",
        ),
        ({"_target_": "shop.training.Fodler"}, ConfigError, "data._target_: no Fodler in shop.training; did you mean"),
        ({"_target_": "shop.training.Folder"}, ConfigError, "data: Folder.__init__() missing 1 required"),
    ],
)
def test_build_errors(node, error, message):
    with pytest.raises(error) as raised:
        build({"data": node}, "data")
    assert type(raised.value) is error
    assert str(raised.value).startswith(message)


SGD = {"_target_": "shop.training.SGD", "lr": 0.1}


def test_what_constructors_have_got_since_is_filled_in_from_those_of_now():
    before = {
        "bits": 8,
        "optimizer": {**SGD, "momentum": 0.5},
        "method": {"_target_": "shop.training.Method", "bits": 8, "optimizer": SGD},
        "data": {"_target_": "gone.Folder", "root": "here"},
        "augment": None,
    }
    now = {
        "optimizer": SGD,
        "method": {"_target_": "shop.training.Method", "bits": 8, "optimizer": SGD},
        "data": {"_target_": "shop.training.Folder", "root": "here"},
        "augment": {"_target_": "shop.training.Open"},
    }
    sgd = {"nesterov": False, "schedule": "cosine", "betas": [0.9, 0.999], "milestones": []}
    assert with_later_defaults(before, now) == {
        "bits": 8,
        "optimizer": {**SGD, "momentum": 0.5, **sgd},
        "method": {
            "_target_": "shop.training.Method",
            "bits": 8,
            "optimizer": {**SGD, "momentum": 0.9, **sgd},
            "callbacks": [],
        },
        "data": {"_target_": "gone.Folder", "root": "here"},
        "augment": None,
    }
    assert before["method"]["optimizer"] == SGD


def test_no_path_of_the_earlier_configuration_is_imported():
    odd = {"data": {"_target_": "shop.needy.Thing"}, "extra": {"_target_": "shop.needy.Thing"}}
    assert with_later_defaults(odd, {"data": SGD}) == odd
    assert "shop.needy" not in sys.modules


def test_a_url_of_a_store_is_no_value() -> None:
    """Nothing that is configured is read from there, nor written; other URLs are texts."""
    problems = check({"runs": "s3://bucket/runs", "more": ["http://host"]}, {"runs": str, "more": list[str]})
    assert [problem.partition(";")[0] for problem in problems] == [
        "runs: s3://bucket/runs is a URL, wanted a path of this machine"
    ]


@pytest.mark.parametrize("url", ["s3://key:word@bucket/a", "https://key:word@host/a"])
def test_a_secret_in_a_value_is_not_told(url: str) -> None:
    (problem,) = check({"runs": url}, {"runs": str})
    assert problem.startswith(f"runs: {url.replace('key:word', '***')} is a URL, wanted a path of this machine")
