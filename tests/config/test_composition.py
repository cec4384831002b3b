"""Messages are hydra's own, of small folders that are composed, and made-up ones as of a release to come."""

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


GROUPS = {"method": ["dlbhc", "dqn"], "trainer": ["default"], "search": ["binary", "fine"]}
GROUPS |= {"experiment": PAPERS.split(", ")}


def explained(folder, name, argv, *, known):
    """The explanation of the error that composing raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  hydra raises many kinds
        composed(folder, name, argv)
    unread = getattr(raised.value, "override", None)
    text, cause = str(raised.value), str(raised.value.__cause__ or "")
    message = text if cause in text else f"{text}\n{cause}"
    return explain_composition(message, known, argv, choices=GROUPS, unread=unread)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        # names
        ("method=dlbch", "no such choice of method; did you mean method=dlbhc? valid: dlbhc, dqn"),
        ("experiment=papr", f"no such choice of experiment; did you mean experiment=paper? valid: {PAPERS}"),
        ("methd=dqn", f"no such key; did you mean method? {TOP}"),
        ("bitz=3", f"no such key; did you mean bits? {TOP}"),
        ("lr=3", f"no such key; did you mean method.lr? {TOP}"),
        ("trainner.epochs=3", f"no such key; did you mean trainer.epochs? {TOP}"),
        ("trainer.epoch=3", "no such key; did you mean trainer.epochs? valid: epochs, sizes"),
        ("method.learning_rate=3", "no such key; did you mean method.lr? valid: _target_, lr, bits"),
        ("bits.x=3", f"no such key; did you mean bits? {TOP}"),
        ("method@m=dqn", f"no such key; did you mean method? {TOP}"),
        ("~bitz", f"no such key; did you mean bits? {TOP}"),
        ("~trainer.epoch", "no such key; did you mean trainer.epochs? valid: epochs, sizes"),
        # what the signs do
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
        (
            "evaluate",
            ["search=fin"],
            "search=fin: no such choice of search; did you mean search=fine? valid: binary, fine",
        ),
        # what is no mistake of an argument, or none that its text shows, is told in hydra's words
        ("train", ["~bits=3"], "Could not delete from config. The value of 'bits' is 48 and not 3."),
        (
            "train",
            ["hydra.run.di=3"],
            "Could not override 'hydra.run.di'. To append to your config use +hydra.run.di=3 "
            "Key 'di' not in 'RunDir' full_key: hydra.run.di",
        ),
        (
            "train",
            ["hydra/launcher=x"],
            "In 'hydra/config': Could not find 'hydra/launcher/x' Available options in 'hydra/launcher': basic",
        ),
        ("evaluate", [], "You must specify 'search', e.g, search=<OPTION> Available options: binary fine"),
        ("evaluate", ["search=???"], "You must specify 'search', e.g, search=<OPTION> Available options: binary fine"),
        (
            "evaluate",
            ["search=fine", "name=${artifact}"],
            "MissingMandatoryValue while resolving interpolation: Missing mandatory value: artifact full_key: name",
        ),
        ("trian", [], "Cannot find primary config 'trian'. Check that it's in your config search path."),
        ("stray", [], "In 'stray': Could not find 'trainner/default'"),
        (
            "train",
            ["experiment=choice"],
            "In 'train': Could not find 'method/dnq' Available options in 'method': dlbhc dqn",
        ),
        (
            "train",
            ["experiment=group"],
            "In 'experiment/group': Could not override 'methd'. No match in the defaults list.",
        ),
        (
            "train",
            ["experiment=twice"],
            "Multiple values for method. To override a value use 'override method: dqn'",
        ),
        ("train", ["experiment=misspelt"], "Interpolation key 'bitz' not found full_key: method.bits"),
        ("train", ["~bits"], "Interpolation key 'bits' not found full_key: method.bits"),
        ("train", ["experiment=resolver"], "Unsupported interpolation type oc.evn full_key: root"),
        (
            "train",
            ["experiment=variable"],
            "KeyError raised while resolving interpolation: "
            "\"Environment variable 'DQH_SURELY_NOT_SET' not found\" full_key: root",
        ),
        ("train", ["experiment=open"], "no viable alternative at input '${bits' full_key: root"),
        ("train", ["experiment=circle"], "Recursive interpolation detected full_key: method.bits"),
    ],
)
def test_a_wrong_file_or_choice(folder, known, name, argv, expected):
    own = [*known, "search", "search.pool", "artifact", "name"] if name == "evaluate" else known
    assert explained(folder, name, argv, known=own) == expected


ARGUMENTS = ["bits=3", "trainer.epochs=7", "method=dqn", "root=a=b", "experiment=papr", "bitz=3", "~bits", "whatever"]


@pytest.mark.parametrize(
    "text",
    [
        "The moon is full.",
        "key already set; bits, trainer.epochs and method are fine",
        "Could not override something",
        "No option 'dqn' for you: 'method/dqn' is taken",
        "Interpolation of {bits} and {0} failed: {}",
        "",
        "\n\t\n",
    ],
)
def test_a_text_that_names_no_wrong_argument_is_shown_as_it_is(known, text):
    """Of a release to come, in words that nobody knows: no other explanation, and none of an argument that is right."""
    for argv in ([], ["bits=3", "trainer.epochs=7", "method=dqn", "root=a=b", "~bits"]):
        assert explain_composition(text, known, argv, choices=GROUPS) == " ".join(text.split())
    assert explain_composition(text, [], ARGUMENTS) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Alas: bitz", f"bitz=3: no such key; did you mean bits? {TOP}"),
        ("<experiment=papr> ?", "experiment=papr: no such choice of experiment; did you mean experiment=paper?"),
        ("option `experiment/papr` is unheard of", "experiment=papr: no such choice of experiment"),
        ('"whatever" is no override', "whatever: settings are written KEY=VALUE"),
        ("rabbitz, bitz.x and bitz_2", "rabbitz, bitz.x and bitz_2"),
    ],
)
def test_a_text_in_other_words_that_names_a_wrong_argument(known, text, expected):
    assert explain_composition(text, known, ARGUMENTS, choices=GROUPS).startswith(expected)


@pytest.mark.parametrize("unread", ["", "bits", "none=of these", "root=a=b", "++root=a=b"])
@pytest.mark.parametrize("text", ["Quite unreadable", ""])
def test_an_argument_that_could_not_be_read_for_a_reason_that_nobody_knows(known, text, unread):
    told = explain_composition(text, known, ARGUMENTS, choices=GROUPS, unread=unread)
    value = "root=a=b: the value cannot be read; to give it as text, write 'root=\"a=b\"'"
    assert told == (value if unread.endswith("root=a=b") else text)


def test_of_a_group_whose_keys_are_not_known_nothing_is_said():
    """The scripts know no keys of a group: those are judged by the constructors, when all is composed."""
    text = "Could not delete from config. The value of 'trainer.epochs' is 20 and not 7."
    assert explain_composition(text, ["bits", "trainer", "trainer._target_"], ["~trainer.epochs=7"]) == text


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
            "Config group override must be a string or a list. Got int",
        ),
    ],
)
def test_other_messages(message, argv, expected):
    assert explain_composition(message, ["bits", "method.lr"], argv) == expected


def test_a_broken_file_is_named_with_its_line(folder, known):
    explanation = explained(folder, "train", ["experiment=broken"], known=known)
    assert f'in "{folder / "experiment" / "broken.yaml"}", line 2, column 7' in explanation
