import numpy as np
import pytest

from dqh.codes import hamming, pack
from dqh.evaluation.code_map import FEWEST_TSNE, code_map

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ("cat", "dog", "fox")


def map_of(bits, labels, **options):
    return code_map(pack(bits), np.asarray(labels), bits=bits.shape[1], class_names=NAMES, **options)


def groups_of_codes(items=200, bits=32):
    """Codes around three far centres, one a class: 3 bits flipped of 32, centres 16 or more apart."""
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=items)
    centres = np.zeros((3, bits), bool)
    centres[1, :16] = centres[2, 8:24] = True
    flips = np.argsort(generator.random((items, bits)), axis=1)[:, :3]
    codes = centres[labels]
    codes[np.arange(items)[:, None], flips] ^= True
    return codes, labels


def test_few_codes_keep_their_hamming_distances_by_hand():
    """Two bits span the plane itself: squared distances are 00–10: 1, 00–11: 2, 10–11: 1, about a mean of 0."""
    found = map_of(np.array([[0, 0], [1, 0], [1, 1]], bool), [0, 1, 2])
    assert found.method == "PCA"
    apart = ((found.positions[:, None] - found.positions) ** 2).sum(axis=2)
    assert apart == pytest.approx(hamming(*[pack(np.array([[0, 0], [1, 0], [1, 1]], bool))] * 2), abs=1e-12)
    assert found.positions.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)


def test_items_of_a_code_share_a_place_and_classes_of_a_code_are_told_apart():
    """Code 00: two cats and a fox, code 11: a dog."""
    found = map_of(np.array([[0, 0], [1, 1], [0, 0], [0, 0]], bool), [0, 1, 2, 0])
    assert found.codes.tolist() == [0, 0, 1]
    assert found.classes.tolist() == [0, 2, 1]
    assert found.counts.tolist() == [2, 1, 1]
    assert np.array_equal(found.positions[0], found.positions[1])
    assert (found.sampled, found.items, found.distinct) == (4, 4, 2)
    assert found.class_names == NAMES


def test_frequent_codes_weigh_more_in_the_plane():
    """Nine items at 000, nine at 110 and one at 001: the first axis runs from 000 to 110, √2 long."""
    bits = np.array([[0, 0, 0]] * 9 + [[1, 1, 0]] * 9 + [[0, 0, 1]], bool)
    found = map_of(bits, [0] * 19)
    ends = found.positions[found.counts == 9]
    assert abs(ends[0, 0] - ends[1, 0]) == pytest.approx(np.sqrt(2), abs=0.01)


def test_near_codes_are_neighbours_with_t_sne():
    bits, labels = groups_of_codes()
    found = map_of(bits, labels)
    assert found.method == "t-SNE"
    assert found.positions.mean(axis=0) == pytest.approx([0, 0], abs=1e-4)
    apart = ((found.positions[:, None] - found.positions) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(found.classes[apart.argmin(axis=1)], found.classes)


@pytest.mark.parametrize("distinct", [FEWEST_TSNE - 1, FEWEST_TSNE])
def test_t_sne_begins_at_a_number_of_distinct_codes(distinct):
    number = np.arange(distinct).repeat(2)
    bits = (number[:, None] >> np.arange(8) & 1).astype(bool)
    found = map_of(bits, number % 3)
    assert found.distinct == distinct
    assert found.method == ("PCA" if distinct < FEWEST_TSNE else "t-SNE")
    assert np.isfinite(found.positions).all()


def test_the_same_seed_gives_the_same_map_and_another_seed_another_sample():
    bits, labels = groups_of_codes()
    before = np.random.get_state()  # noqa: NPY002, whether the global generator is left alone
    one, same, other = (map_of(bits, labels, most=60, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.positions, same.positions)
    assert np.array_equal(one.classes, same.classes)
    assert (one.sampled, one.items, other.sampled) == (60, 200, 60)
    assert not np.array_equal(one.positions, other.positions)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_counts_are_those_of_the_sample():
    bits, labels = groups_of_codes()
    found = map_of(np.concatenate([bits[:40]] * 5), np.concatenate([labels[:40]] * 5), most=150)
    assert found.counts.sum() == found.sampled == 150
    assert found.distinct == len(np.unique(found.codes)) <= 40


def test_items_with_several_labels_or_none_have_no_class():
    labels = np.array([[True, False, False], [True, True, False], [False, False, False]])
    found = map_of(np.array([[0, 0], [0, 1], [1, 1]], bool), labels)
    assert dict(zip(found.codes.tolist(), found.classes.tolist(), strict=True)) == {0: 0, 1: -1, 2: -1}


@pytest.mark.parametrize("bits", [1, 2, 9])
@pytest.mark.parametrize("items", [1, 2, 70])
def test_codes_that_are_all_equal_lie_at_the_middle(items, bits):
    found = map_of(np.ones((items, bits), bool), np.zeros(items, np.int64))
    assert np.array_equal(found.positions, [[0, 0]])
    assert found.counts.tolist() == [items]


def test_decoded_codes_keep_their_distances_by_hand():
    """Codes 0, 1 and 3 stand for (0, 0), (3, 0) and (3, 4): squared distances 9, 25 and 16; two items have code 0."""
    places = np.array([[0, 0], [3, 0], [0, 9], [3, 4]], np.float32)
    codes = np.array([[0], [1], [3], [0]], np.uint8)
    found = code_map(
        codes, np.zeros(4, np.int64), bits=2, class_names=NAMES, decode=lambda packed: places[packed[:, 0]]
    )
    apart = ((found.positions[:, None] - found.positions) ** 2).sum(axis=2)
    assert sorted(apart[np.triu_indices(3, 1)]) == pytest.approx([9, 16, 25])
    assert found.counts.tolist() == [2, 1, 1]
    # the plane is centred on the items, not on the codes
    assert (found.positions * found.counts[:, None]).sum(axis=0) == pytest.approx([0, 0], abs=1e-12)


CODES, LABELS = pack(np.eye(3, dtype=bool)), np.arange(3)


@pytest.mark.parametrize(
    ("codes", "labels", "given", "message"),
    [
        (CODES, LABELS, {"bits": 9}, "codes of 9 bits"),
        (CODES[:0], LABELS[:0], {}, "at least one item"),
        (CODES, LABELS[:2], {}, "labels must be as many as codes, 3, got 2"),
        (CODES, LABELS + 1, {}, "labels must lie in 0 … 2, got 1 … 3"),
        (CODES, LABELS - 1, {}, "labels must lie in 0 … 2, got -1 … 1"),
        (CODES, np.ones((3, 2), bool), {}, r"bool of shape \(N, 3\), got bool of shape \(3, 2\)"),
        (CODES, np.ones((3, 3)), {}, "got float64"),
        (CODES, LABELS, {"most": 0}, "most must be at least 1, got 0"),
    ],
)
def test_errors_say_what_was_wanted(codes, labels, given, message):
    with pytest.raises(ValueError, match=message):
        code_map(codes, labels, **{"bits": 3, "class_names": NAMES} | given)
