"""The program of torch.export: parity on batches that were not used for export."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dqh.artifact import load_artifact
from dqh.artifact.golden import eager, parity
from dqh.errors import ArtifactError
from dqh.export.artifact.exported_program import ProgramForm, exported_program
from tests.artifact.conftest import ROOT, inputs_of, make


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "pq"])
def test_codes_are_those_of_the_encoder(kind: str, formed: Callable[[str], Path]) -> None:
    artifact, content = load_artifact(formed(kind)), (formed(kind) / "encoder.pt2").read_bytes()
    form = ProgramForm(content)
    for count in (1, 7):
        inputs = inputs_of(artifact, count, seed=count)
        found = form(inputs)
        wanted = eager(artifact.encoder, artifact.quantizer, inputs)
        assert (found.codes.dtype, found.codes.shape) == (np.uint8, wanted.codes.shape)
        assert parity(wanted.codes, found, artifact.quantizer) == (0, 0)
        assert np.allclose(found.features, wanted.features, rtol=0, atol=1e-6 * np.abs(wanted.features).max())


@pytest.mark.slow
def test_the_file_names_no_place_on_this_machine(formed: Callable[[str], Path]) -> None:
    content = (formed("binary") / "encoder.pt2").read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    class Choosy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)) if float(images.sum()) > 0 else images.amax((2, 3))

    artifact = make()
    artifact.encoder.backbone.stages = Choosy()
    with pytest.raises(ArtifactError, match="cannot export this network: "):
        exported_program(artifact)
