import pytest

from dqh.sealed import canonical, seal, unseal


def test_what_is_sealed_is_unsealed() -> None:
    fields = {"b": [1, 2.5, None], "a": {"é": True}}
    assert unseal(seal(fields)) == fields


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not the JSON"),
        (b"[1]", "not the JSON"),
        (b"{}", "not the JSON"),
        (b"[" * 100_000, "not the JSON"),
        (seal({"a": 1}).replace(b'"a":1', b'"a":2'), "does not match its hash"),
        (seal({"a": 1}).replace(b"{", b"{ ", 1), "not the bytes"),
        (seal({"a": 1}) + b"\n", "not the bytes"),
        (b'{"a":NaN,"self_sha256":""}', "not the JSON"),
    ],
)
def test_other_content_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        unseal(content)


def test_canonical_refuses_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})
