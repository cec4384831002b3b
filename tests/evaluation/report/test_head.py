import re

from dqh.evaluation.report.head import key_numbers, lede

PROTOCOL = {
    "method": "dlbhc",
    "bits": 48,
    "data": "digits",
    "query": 300,
    "database": 1497,
    "train": 1347,
    "database_includes_train": True,
    "relevance": "at least one shared label",
}
ROWS = [
    {"search": "binary", "mAP@all": 0.9954, "query_ms": 0.01, "bytes_per_item": 6},
    {"search": "exhaustive", "mAP@all": 0.9943, "query_ms": 0.34, "bytes_per_item": 256},
    {"search": "untrained", "mAP@all": 0.6802, "bytes_per_item": 256},
    {"search": "without_h", "mAP@all": 0.9931, "accuracy": 0.9967},
]


def keys(metrics):
    return [
        re.findall(r"<d[td][^>]*>([^<]*)</d[td]>", each) for each in re.findall(r"<div>.*?</div>", key_numbers(metrics))
    ]


def test_the_first_sentences_say_what_was_done():
    assert lede({"protocol": PROTOCOL}) == (
        "A network trained on 1,347 items of digits turns every item into 48 bits. Each of 300 queries searches 1,497 "
        "database items, those it was trained on among them. Relevant to a query: at least one shared label."
    )


def test_codes_in_closed_form_are_not_called_trained():
    pair = {"search": "binary", "against": "untrained", "value": 0.3152, "low": 0.29, "high": 0.33}
    metrics = {"protocol": PROTOCOL, "rows": ROWS, "intervals": {"metric": "mAP@all", "pairs": [pair]}}
    metrics["training"] = {"epochs": 0}
    assert lede(metrics).startswith(
        "A layer computed from 1,347 items of digits turns every item into 48 bits. Each of 300 queries searches 1,497 "
        "database items, those it was computed from among them."
    )
    assert keys(metrics)[1][:2] == ["mAP@all, codes − features", "+0.3152"]


def test_what_the_protocol_does_not_say_is_left_out():
    assert lede({}) == ""
    assert lede({"protocol": {"query": 3, "database": 4}}) == "Each of 3 queries searches 4 database items."
    assert lede({"protocol": {"bits": 8, "data": "x", "database_includes_train": True}}) == (
        "A network turns every item of x into 8 bits."
    )


def test_numbers_stand_with_what_they_are_compared_with():
    intervals = {
        "metric": "mAP@all",
        "level": 0.95,
        "rows": [{"search": "binary", "low": 0.9912, "high": 0.9987}],
        "pairs": [{"search": "binary", "against": "untrained", "value": 0.3152, "low": 0.29, "high": 0.33}],
    }
    assert keys({"rows": ROWS, "accuracy": 0.98889, "intervals": intervals}) == [
        ["mAP@all, binary", "0.9954", "95 %: [0.9912, 0.9987]", "exhaustive 0.9943"],
        ["mAP@all, gained by training", "+0.3152", "95 %: [+0.2900, +0.3300]", "untrained 0.6802"],
        [
            "accuracy",
            "98.89 %",
            "of the classifier, on the queries",
            "without the latent layer 99.67\N{NO-BREAK SPACE}%",
        ],
        ["bytes / item", "6", "binary", "exhaustive 256 (43×)"],
        ["ms / query", "0.0100", "binary", "exhaustive 0.340 (34×)"],
    ]


def test_accuracy_says_how_many_queries_it_cannot_name():
    metrics = {"accuracy": 0.8, "protocol": {"query": 1300}, "unseen": {"query": 240}}
    note = "240 of 1,300 are of classes it never saw"
    assert keys(metrics) == [["accuracy", "80.00 %", "of the classifier, on the queries", note]]
    assert note not in str(keys(metrics | {"unseen": None}))


def test_an_older_file_has_fewer_of_them():
    assert keys({"rows": ROWS[:2], "accuracy": None}) == [
        ["mAP@all, binary", "0.9954", "exhaustive 0.9943"],
        ["bytes / item", "6", "binary", "exhaustive 256 (43×)"],
        ["ms / query", "0.0100", "binary", "exhaustive 0.340 (34×)"],
    ]
    assert keys({"rows": [{"search": "binary", "mAP@all": float("nan")}]}) == [["mAP@all, binary", "–"]]
    assert key_numbers({}) == ""


def test_product_quantized_codes_are_described_and_led_by_their_main_row():
    rows = [
        {"search": "exhaustive", "mAP@all": 0.8, "bytes_per_item": 256},
        {"search": "aqd_l2", "mAP@all": 0.9, "bytes_per_item": 4},
        {"search": "embedding_l2", "mAP@all": 0.91},
    ]
    health = {"kind": "pq", "perplexity": [16.0] * 8, "dead": [0] * 8, "error": 0.1}
    metrics = {"protocol": PROTOCOL | {"main": "aqd_l2", "bits": 32}, "rows": rows, "health": health}
    assert "turns every item into 32 bits, 8 codewords out of 16 each." in lede(metrics)
    assert keys(metrics) == [
        ["mAP@all, aqd_l2", "0.9000", "exhaustive 0.8000", "embedding_l2 0.9100"],
        ["bytes / item", "4", "aqd_l2", "exhaustive 256 (64×)"],
    ]


def test_names_are_escaped():
    assert "<script>" not in key_numbers({"rows": [{"search": "<script>", "mAP@<script>": 1.0}]})
