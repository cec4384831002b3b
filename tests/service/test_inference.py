from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from dqh.encoding.loaded_encoder import load_encoder
from dqh.service.inference import MOST

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)


def tensor(**changes: Any) -> dict[str, Any]:
    own = {"name": "inputs", "shape": [2, 3, 16, 16], "datatype": "UINT8", "data": IMAGES.ravel().tolist()}
    return {"inputs": [own | changes]}


def test_the_six_routes(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["name"] == "dqh"
    for path in ("/v2/models/encoder", "/v2/models/encoder/versions/1"):
        assert client.get(f"{path}/ready").json() == {"ready": True}
        known = client.get(path).json()
        assert known["inputs"] == [{"name": "inputs", "datatype": "UINT8", "shape": [-1, 3, 16, 16]}]
        assert [(own["name"], own["shape"][1]) for own in known["outputs"]] == [
            ("codes", 2),
            ("embedding", 12),
            ("features", 16),
        ]
        assert client.post(f"{path}/infer", json=tensor()).status_code == 200


def test_answers_are_those_of_the_encoder(client: TestClient, artifact: Path) -> None:
    wanted = load_encoder(artifact, device="cpu").encode(IMAGES)
    answer = client.post("/v2/models/encoder/infer", json=tensor() | {"id": "mine"}).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("mine", "encoder", "1")
    for own in answer["outputs"]:
        array = np.array(own["data"]).reshape(own["shape"])
        np.testing.assert_allclose(array, getattr(wanted, own["name"]), rtol=1e-5, atol=1e-6)
    assert [own["datatype"] for own in answer["outputs"]] == ["UINT8", "FP32", "FP32"]


def test_nested_data_and_some_outputs(client: TestClient) -> None:
    asked = tensor(data=IMAGES.tolist()) | {"outputs": [{"name": "codes"}]}
    answer = client.post("/v2/models/encoder/infer", json=asked).json()
    assert [own["name"] for own in answer["outputs"]] == ["codes"]
    assert "id" not in answer


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (tensor(name="images"), "wanted one input, inputs"),
        (tensor(datatype="FP32"), "of type UINT8"),
        (tensor(datatype="BYTES"), "Invalid enum value"),
        (tensor(shape=[1, 3, 16, 16]), "data must be 768 whole numbers"),
        (tensor(shape=[2, 3, 16, 17]), "wanted shape"),
        (tensor(shape=[MOST + 1, 3, 16, 16]), "wanted shape"),
        (tensor(shape=[2, 768]), "wanted shape"),
        (tensor(shape=[0, 3, 16, 16], data=[]), "wanted shape"),
        (tensor(shape=[-1, 3, 16, 16]), "shape"),
        (tensor(data=[0.5] * 1536), "whole numbers"),
        (tensor(data=["a"] * 1536), "whole numbers"),
        (tensor(data=[[1, 2], [3]]), "whole numbers"),
        (tensor(data=[256] * 1536), "0 … 255"),
        (tensor(data=[-1] * 1536), "0 … 255"),
        (tensor() | {"outputs": [{"name": "labels"}]}, "outputs are codes, embedding, features"),
        ({"inputs": []}, "wanted one input"),
        ({}, "missing required field `inputs`"),
        ([], "Expected `object`"),
    ],
)
def test_what_is_refused(client: TestClient, asked: Any, message: str) -> None:
    answer = client.post("/v2/models/encoder/infer", json=asked)
    assert answer.status_code == 400
    assert message in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b'{"inputs":' + b"[" * 100_000, b"\xff", b'{"inputs": NaN}'])
def test_bodies_that_are_no_json(client: TestClient, content: bytes) -> None:
    assert client.post("/v2/models/encoder/infer", content=content).status_code == 400


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/encoder/versions/2", "/v2/models/other/ready"])
def test_models_that_there_are_not(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is one model, encoder, and its version 1")
