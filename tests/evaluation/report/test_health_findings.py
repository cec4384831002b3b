import numpy as np
import pytest

from dqh.codes import pack
from dqh.evaluation.health import code_health
from dqh.evaluation.report.health_findings import findings


def found_in(bits, **embedding):
    sentences = findings(code_health(pack(bits), bits=bits.shape[1], **embedding).to_json())
    return [" ".join(sentence.split()) for sentence in sentences]  # spaces before % do not break


def test_four_codes_in_words():
    """The numbers are those worked by hand in test_health: 2^1.5 = 2.8 codes, log2 4 = 2 bits at most."""
    assert found_in(np.array([[0, 0], [1, 0], [1, 0], [1, 1]], bool)) == [
        "Every one of the 2 bits has both values in at least 2 % of the items; they are 1 in 25 % to 75 %.",
        "Two bits correlate by 0.33 on average, signs aside, and by +0.33 at most (bits 0 and 1); 0 of 2 bits are "
        "nearly the copy or the opposite of another one (at least 0.95).",
        "The codes carry 1.5 bits, as much as 3 equally frequent codes would; independent bits of this balance would "
        "carry 1.6, and 4 items can show no more than 2.0.",
        "3 distinct codes among 4 items (uniformly random ones: 3); 50 % of the items share theirs with another item, "
        "the most frequent code has 2 items.",
    ]


def test_constant_bits_are_counted():
    bits = np.zeros((100, 3), bool)
    bits[0, 1] = bits[:50, 2] = True
    assert found_in(bits)[0].startswith(
        "1 of 3 bits are constant, 1 more nearly so (one value in over 98 % of the items)"
    )


def test_an_opposite_has_a_minus_sign():
    bits = np.array([[0, 1], [1, 0]], bool)
    assert "by −1.00 at most (bits 0 and 1); 2 of 2 bits" in found_in(bits)[1]


def test_one_code_a_class_is_no_error():
    """What training by class aims at: every item of a class has its code."""
    text = " ".join(found_in(np.repeat(np.eye(4, dtype=bool), 25, axis=0)))
    assert "100 % of the items share theirs with another item" in text
    assert "Training by class aims at that, one code a class" in text
    assert not any(word in text.lower() for word in ("error", "bad", "wrong", "poor", "warning", "collapse"))


@pytest.mark.parametrize("bits", [1, 2])
def test_embedding_and_pairs_are_left_out_where_there_is_none(bits):
    values = np.linspace(0, 1, 8 * bits).reshape(8, bits)
    assert len(found_in(values > 0.5)) == 2 + bits
    assert len(found_in(values > 0.5, embedding=values)) == 3 + bits
    assert (
        "of the embedding's values lie within 5 % of the range of either end"
        in found_in(values > 0.5, embedding=values)[-1]
    )
