"""Facts of a training."""

import json

from dqh.training.trained import Trained


def test_facts_are_json() -> None:
    facts = Trained(
        epochs=1,
        best_epoch=1,
        chosen_by="val/mAP",
        best_score=0.5,
        seconds=1.0,
        wall_seconds=2.0,
        warm_up_seconds=0.0,
        waiting_seconds=0.1,
        images_per_s=100.0,
        device="cpu, 1 thread",
        devices=1,
        threads=1,
        precision="32-true",
        compiled=False,
        eval_batch_size=512,
        parameters=10,
        overfit=None,
        history=[{"epoch": 1, "val/mAP": None}],
    )
    assert Trained(**json.loads(json.dumps(facts.to_json()))) == facts
