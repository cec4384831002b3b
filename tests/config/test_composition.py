"""Every message is hydra's own: small folders of configurations are composed, and what is raised is explained."""

import shlex

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dqh.config import explain_composition, flatten

FILES = {
    "train.yaml": "defaults:\n  - method: dlbhc\n  - trainer: default\n  - _self_\n  - experiment: null\n"
    "bits: 48\nroot: null\n",
    "evaluate.yaml": "defaults:\n  - search: ???\n  - _self_\nartifact: ???\nname: report\n",
    "method/dlbhc.yaml": "_target_: shop.Method\nlr: 0.1\nbits: ${bits}\n",
    "method/dqn.yaml": "_target_: shop.Other\n",
    "trainer/default.yaml": "epochs: 3\nsizes: [1, 2]\n",
    "search/binary.yaml": "pool: 1000\n",
    "search/fine.yaml": "pool: 10\n",
    "experiment/paper.yaml": "# @package _global_\ndefaults:\n  - override /method: dqn\n",
    "experiment/choice.yaml": "# @package _global_\ndefaults:\n  - override /method: dnq\n",
    "experiment/group.yaml": "# @package _global_\ndefaults:\n  - override /methd: dqn\n",
    "experiment/twice.yaml": "# @package _global_\ndefaults:\n  - /method: dqn\n",
    "experiment/broken.yaml": "# @package _global_\nbits: [3\n",
    "experiment/misspelt.yaml": "# @package _global_\nbits: ${bitz}\n",
    "experiment/resolver.yaml": "# @package _global_\nroot: ${oc.evn:HOME}\n",
    "experiment/variable.yaml": "# @package _global_\nroot: ${oc.env:DQH_SURELY_NOT_SET}\n",
    "experiment/open.yaml": "# @package _global_\nroot: ${bits\n",
    "experiment/circle.yaml": "# @package _global_\nroot: ${bits}\nbits: ${root}\n",
    "stray.yaml": "defaults:\n  - trainner: default\n",
}
TOP = "valid: method, trainer, experiment, bits, root"
PAPERS = "broken, choice, circle, group, misspelt, open, paper, resolver, twice, variable"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files of `FILES`."""
    folder = tmp_path_factory.mktemp("conf")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


def composed(folder, name, argv):
    with initialize_config_dir(str(folder), version_base=None):
        return OmegaConf.to_container(compose(name, argv), resolve=True)


@pytest.fixture(scope="module")
def known(folder):
    return ["method", "trainer", "experiment", *flatten(composed(folder, "train", []))]


def explained(folder, name, argv, *, known):
    """The explanation of the error that composing raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  hydra raises many kinds
        composed(folder, name, argv)
    return explain_composition(f"{raised.value}\n{raised.value.__cause__ or ''}", known, argv)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        # names
        ("method=dlbch", "no such choice of method; did you mean method=dlbhc? valid: dlbhc, dqn"),
        ("experiment=papr", f"no such choice of experiment; did you mean experiment=paper? valid: {PAPERS}"),
        ("hydra/launcher=x", "no such choice of hydra/launcher; valid: basic"),
        ("methd=dqn", f"no such key; did you mean method? {TOP}"),
        ("bitz=3", f"no such key; did you mean bits? {TOP}"),
        ("lr=3", f"no such key; did you mean method.lr? {TOP}"),
        ("trainner.epochs=3", f"no such key; did you mean trainer.epochs? {TOP}"),
        ("trainer.epoch=3", "no such key; did you mean trainer.epochs? valid: epochs, sizes"),
        ("method.learning_rate=3", "no such key; did you mean method.lr? valid: _target_, lr, bits"),
        ("bits.x=3", f"no such key; did you mean bits? {TOP}"),
        ("method@m=dqn", f"no such key; did you mean method? {TOP}"),
        ("hydra.run.di=3", f"no such key; {TOP}"),
        ("~bitz", f"no such key; did you mean bits? {TOP}"),
        ("~trainer.epoch", "no such key; did you mean trainer.epochs? valid: epochs, sizes"),
        # what the signs do
        ("~bits=3", "the value of bits is 48; write ~bits to delete it whatever it is"),
        ("+bits=3", "bits is in the configuration already; leave out the +"),
        ("+trainer.epochs=3", "trainer.epochs is in the configuration already; leave out the +"),
        ("+method=dqn", "method is chosen already; write method=dqn (in a file: override /method: dqn)"),
        # values
        ("method=null", "wanted the name of a choice, as in method=NAME"),
        ("trainer=3", "wanted the name of a choice, as in trainer=NAME"),
        ("=3", "wanted the name of a choice, as in KEY=NAME"),
        (
            "bits=1,2",
            "several values; write 'bits=[1,2]' for a list, or add --multirun for a run with each",
        ),
        (
            "method=dlbhc,dqn",
            "several values; write 'method=[dlbhc,dqn]' for a list, or add --multirun for a run with each",
        ),
        ("bits=range(3)", "several values; add --multirun for a run with each"),
        # syntax
        ("bits", "settings are written KEY=VALUE; did you mean bits=VALUE?"),
        ("epoch", "settings are written KEY=VALUE; did you mean trainer.epochs=VALUE?"),
        ("whatever", "settings are written KEY=VALUE"),
        ("--bits", "settings are written KEY=VALUE; did you mean bits=VALUE?"),
        ("--bits=3", "settings are written KEY=VALUE; did you mean bits=VALUE?"),
        ("bits:3", "settings are written KEY=VALUE; did you mean bits=VALUE?"),
        ("trainer.sizes[0]=3", "trainer.sizes[0] is no key; did you mean trainer.sizes=VALUE?"),
        ("method@:m=dqn", "method@:m is no key; did you mean method=VALUE?"),
        ("root=[1,2", "[ is not closed; write 'root=[1,2]'"),
        ("root={a", "{ is not closed; write 'root={a}'"),
        ("root=${bits", "{ is not closed; write 'root=${bits}'"),
        ('root="a', '" is not closed; write \'root="a"\''),
        ("root=a=b", "the value cannot be read; to give it as text, write 'root=\"a=b\"'"),
        ("root==b", "the value cannot be read; to give it as text, write 'root=\"=b\"'"),
        ("root=a(b", "the value cannot be read; to give it as text, write 'root=\"a(b\"'"),
        ("root=a)b", "the value cannot be read; to give it as text, write 'root=\"a)b\"'"),
        ("root=a#b", "the value cannot be read; to give it as text, write 'root=\"a#b\"'"),
        ("root=bücher", "the value cannot be read; to give it as text, write 'root=\"bücher\"'"),
        ("root=foo(3)", "Unknown function 'foo'; to give it as text, write 'root=\"foo(3)\"'"),
        (
            "root=int(abc)",
            "invalid literal for int() with base 10: 'abc'; to give it as text, write 'root=\"int(abc)\"'",
        ),
    ],
)
def test_a_wrong_argument(folder, known, argument, expected):
    argv = ["trainer.sizes=[1,2]", "method.lr=0.5", argument, "trainer.epochs=7"]
    assert explained(folder, "train", argv, known=known) == f"{argument}: {expected}"


@pytest.mark.parametrize(
    ("name", "argv", "expected"),
    [
        ("evaluate", [], "search: nothing chosen; write search=NAME; valid: binary, fine"),
        ("evaluate", ["search=???"], "search: nothing chosen; write search=NAME; valid: binary, fine"),
        (
            "evaluate",
            ["search=fin"],
            "search=fin: no such choice of search; did you mean search=fine? valid: binary, fine",
        ),
        ("evaluate", ["search=fine", "name=${artifact}"], "artifact: no value given; write artifact=VALUE"),
        ("trian", [], "trian: there is no configuration of this name"),
        ("stray", [], f"trainner/default: no such file, named in stray; did you mean trainer? {TOP}"),
        (
            "train",
            ["experiment=choice"],
            "method=dnq (asked for by a file): no such choice of method; did you mean method=dqn? valid: dlbhc, dqn",
        ),
        (
            "train",
            ["experiment=group"],
            f"experiment/group: 'override /methd' names no group; did you mean method? {TOP}",
        ),
        (
            "train",
            ["experiment=twice"],
            "method=dqn (asked for by a file): method is chosen already; write method=dqn "
            "(in a file: override /method: dqn)",
        ),
        (
            "train",
            ["experiment=misspelt"],
            f"method.bits: refers to ${{bitz}}, which is not in the configuration; did you mean bits? {TOP}",
        ),
        ("train", ["~bits"], "method.bits: refers to ${bits}, which is not in the configuration"),
        (
            "train",
            ["experiment=resolver"],
            "root: ${oc.evn:…} is not known; write ${KEY} to refer to another key",
        ),
        ("train", ["experiment=variable"], "root: Environment variable 'DQH_SURELY_NOT_SET' not found"),
        (
            "train",
            ["experiment=open"],
            "root: ${bits cannot be read; write ${KEY} to refer to another key",
        ),
        ("train", ["experiment=circle"], "method.bits: refers to itself in a circle"),
    ],
)
def test_a_wrong_file_or_choice(folder, known, name, argv, expected):
    assert explained(folder, name, argv, known=known) == expected


@pytest.mark.parametrize(
    "value", ["a=b", "a(b", "a)b", "a#b", "bücher", "foo(3)", "it's", 'say "so"', "a'b\"c", "{a}b", "=", "a$(b"]
)
def test_the_proposed_quoting_gives_the_value_as_text(folder, known, value):
    explanation = explained(folder, "train", [f"root={value}"], known=known)
    proposed = shlex.split(explanation.rpartition(" write ")[2])
    if "is not closed" not in explanation:
        assert len(proposed) == 1, "one argument to the shell"
    assert composed(folder, "train", proposed)["root"] == value


@pytest.mark.parametrize(
    ("message", "argv", "expected"),
    [
        (
            "usage: train.py [--help]\ntrain.py: error: unrecognized arguments: --bits",
            ["--bits", "3"],
            "--bits: settings are written KEY=VALUE; did you mean bits=VALUE?",
        ),
        (
            "Something new\n\n    object_type=dict\nSet the environment variable HYDRA_FULL_ERROR=1 for",
            [],
            "Something new",
        ),
        ("mismatched input ')' expecting <EOF>", [], "mismatched input ')' expecting <EOF>"),
        (
            "Config group override must be a string or a list. Got int",
            ["experiment=paper"],
            "a group of settings is given a value; wanted the name of a choice, as in KEY=NAME",
        ),
    ],
)
def test_other_messages(message, argv, expected):
    assert explain_composition(message, ["bits", "method.lr"], argv) == expected


def test_a_broken_file_is_named_with_its_line(folder, known):
    explanation = explained(folder, "train", ["experiment=broken"], known=known)
    assert f'in "{folder / "experiment" / "broken.yaml"}", line 2, column 7' in explanation
