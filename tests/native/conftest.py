"""The kernels, by each instruction set of this processor."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from dqh.native import cell_twins, code_twins, table_twins, twins
from dqh.native.extension import extension

SETS = ("portable", "avx2", "avx512")


@pytest.fixture(params=["twins", *SETS])
def kernels(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """`dqh._native` by one instruction set after another, and its twins in numpy."""
    if request.param == "twins":
        yield twins
        return
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    best = native.instruction_set()
    if SETS.index(request.param) > SETS.index(best):
        pytest.skip(f"this processor has {best} at most")
    native.instruction_set(request.param)
    yield native
    native.instruction_set(best)


@pytest.fixture
def table_kernels(kernels: ModuleType) -> ModuleType:
    """The kernels of look-up tables, by the same sets and as twins."""
    return table_twins if kernels is twins else kernels


@pytest.fixture
def cell_kernels(kernels: ModuleType) -> ModuleType:
    """The kernels of clustering, by the same sets and as twins."""
    return cell_twins if kernels is twins else kernels


@pytest.fixture
def code_kernels(kernels: ModuleType) -> ModuleType:
    """The kernels of clustering packed codes, by the same sets and as twins."""
    return code_twins if kernels is twins else kernels
