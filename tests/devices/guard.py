"""A CUDA device where there is none: operations on tensors of two devices are refused, and so are waits for the device.

`fake_cuda` has tensors without values, those of torch's `FakeTensorMode`: what asks for a value cannot go on. It is for
training steps and all that they call. `stand_in_cuda` has values, which lie on the CPU: what may wait runs to its end
there, and its numbers can be compared with those of a run on the CPU. Where it waits must be in `waits.MAY_WAIT`. Both
have a `step`, in which nothing may wait at all. Modules and inputs are made under `torch.device("cuda")`, all else runs
outside of it: with a default device a forgotten `device=` would not show.

The fake mode alone lets pass what torch itself would do with a wait or in silence: `.cpu()`, `.to(device)`, `copy_`
between devices, indices on the CPU for a tensor on CUDA, masks as indices of what is written. Refused here:

- an operation whose tensors lie on two devices. A CPU tensor of no dimension passes where the operation goes value by
  value (torch's tag `pointwise`), and in `fill_`: its value is read on the host and becomes an argument of the kernel,
  which neither copies nor waits. Everywhere else it is refused, as an index, in a copy, in a product;
- a wait: a value or a shape that depends on values (`.item()`, `if tensor`, `nonzero`, `unique`, `bincount`, a mask as
  an index, `torch.equal`), a decomposition whose errors the host looks at (`eigh`, `svd`), a copy to the host unless it
  goes to pinned memory with `non_blocking`, and a copy to the device without `non_blocking`. Outside of a step
  `stand_in_cuda` lets `.to(device)` and `torch.tensor(…, device=…)` pass, since arrays must get there once.

Not covered, neither here nor by any test without a GPU: the backward pass, which starts threads of the device that
these modes do not see; generators on CUDA, which do not exist without one; autocast, which torch switches off with a
warning; whether CUDA has a kernel for a type, and what it computes.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from tests.devices.waits import MAY_WAIT

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")

_COPIES = {"_to_copy", "copy_", "copy", "_foreach_copy_", "_foreach_copy"}
_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
_DECOMPOSED = {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "linalg_eig", "linalg_lstsq"}
_CPU_KERNELS = {"cudnn_batch_norm": lambda *args: (*torch.native_batch_norm(*args), torch.empty(0))}
"""In place of what the CPU has no kernel for."""

_OF_VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class MixedDevicesError(AssertionError):
    """An operation got tensors of two devices."""


class DeviceWaitError(AssertionError):
    """The host would wait for the device."""


@contextmanager
def fake_cuda() -> "Iterator[OneDevice]":
    """All that is computed inside has no values; nothing may mix devices, and within a `step` nothing may wait."""
    mode = OneDevice()
    with _machine(), mode:
        yield mode


@contextmanager
def stand_in_cuda() -> "Iterator[StandInCuda]":
    """What is on CUDA inside has values; nothing may mix devices, and only what `MAY_WAIT` lists may wait for one."""
    mode = StandInCuda()
    with _machine(), mode:
        yield mode


@contextmanager
def _machine() -> Iterator[None]:
    """A process in which CUDA seems to be there, also where it is."""
    lift = torch._C._only_lift_cpu_tensors()
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    with FakeTensorMode() as fake, warnings.catch_warnings():
        # weak references to weights, which torch keeps here, would keep `module.to(memory_format=…)` from swapping them
        fake.fake_tensor_converter.meta_converter.tensor_memo = {}  # type: ignore[assignment]
        warnings.filterwarnings("ignore", "User provided device_type of 'cuda', but CUDA is not available")
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(…, device=…)` shows the copy that it makes
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield
        finally:
            torch._C._set_only_lift_cpu_tensors(lift)
            torch.__future__.set_overwrite_module_params_on_conversion(before)


class Call(NamedTuple):
    """An operation and its arguments, those that are tensors apart."""

    func: Any
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: list[Tensor]

    @property
    def place(self) -> torch.device:
        """Where the result will lie."""
        if (asked := self.kwargs.get("device")) is not None:
            return torch.device(asked)
        return CUDA if any(tensor.is_cuda for tensor in self.tensors) else CPU


class OneDevice(TorchDispatchMode):
    """Refuses what mixes devices or, within a step, waits for one; leaves the rest to the mode below."""

    def __init__(self) -> None:
        super().__init__()
        self._in_step = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Nothing inside may wait, whatever `MAY_WAIT` says."""
        self._in_step = True
        try:
            yield
        finally:
            self._in_step = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = Call(func, func.overloadpacket.__name__, args, kwargs or {}, list(_tensors((args, kwargs or {}))))
        require_one_device(call)
        if self._in_step and (why := wait_of(call) or upload_of(call)):
            raise DeviceWaitError(f"{func}: {why}")
        return self.computed(call)

    def computed(self, call: Call) -> Any:
        """The result of what has passed."""
        return call.func(*call.args, **call.kwargs)


class OnCuda(Tensor):
    """A tensor that says it is on CUDA; `held` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnCuda":
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return Tensor._make_wrapper_subclass(cls, held.size(), device=CUDA, **layout)  # type: ignore[attr-defined]

    def __init__(self, held: Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self) -> Any:
        """The values, by way of the host; torch has none of a subclass."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} of a tensor that left its device; compute under stand_in_cuda()")


class StandInCuda(OneDevice):
    """Computes on the CPU what is asked of CUDA, and refuses waits outside of a step too, unless they are listed.

    Attributes:
        waited: names in `MAY_WAIT` of what waited for the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waited: set[str] = set()

    def computed(self, call: Call) -> Any:
        """The result, by the kernels of the CPU."""
        uploads = None if call.name == "_to_copy" else upload_of(call)
        if why := wait_of(call) or uploads:
            self.waited.add(_listed(sys._getframe(2), f"{call.func}: {why}"))
        place, kwargs = call.place, dict(call.kwargs)
        pinned = kwargs.pop("pin_memory", None)
        if place.type == "cuda" and "device" in kwargs:
            kwargs["device"] = CPU
        with unset_fake_temporarily():
            result = _CPU_KERNELS.get(call.name, call.func)(*_held(call.args), **_held(kwargs))
        if pinned:
            result.pinned = True
        return _placed(result, call) if place.type == "cuda" else result


def require_one_device(call: Call) -> None:
    """Raise `MixedDevicesError` where the tensors of an operation, which is no copy, lie on two devices."""
    if call.name in _COPIES or call.name == "_has_compatible_shallow_copy_type":  # of types, in `module.to`
        return
    if (generator := call.kwargs.get("generator")) is not None and call.place.type != generator.device.type:
        raise MixedDevicesError(f"{call.func}: values on {call.place} from a generator on {generator.device}")
    if len({tensor.device for tensor in call.tensors}) < 2:
        return
    scalars = torch.Tag.pointwise in call.func.tags or call.name == "fill_"
    parts = [part for part in call.tensors if not (scalars and part.ndim == 0 and part.device.type == "cpu")]
    if len({part.device for part in parts}) > 1:
        shapes = ", ".join(f"{tuple(part.shape)} on {part.device}" for part in parts)
        raise MixedDevicesError(f"{call.func}: tensors of two devices: {shapes}")


def wait_of(call: Call) -> str | None:
    """Why the host waits until the device has come to this operation; None where it does not."""
    if call.name in _COPIES:
        source, target, free = _copied(call)
        pinned = getattr(call.args[0], "pinned", False) and free
        return "a copy to the host" if source.type == "cuda" and target.type == "cpu" and not pinned else None
    if not any(tensor.is_cuda for tensor in call.tensors):
        return None
    if call.name in _INDEXED:
        masks = [place for place in call.args[1] if place is not None and place.dtype in (torch.bool, torch.uint8)]
        return "a mask as an index, whose places the host must count" if masks else None
    if call.name == "repeat_interleave" and call.kwargs.get("output_size") is not None:
        return None
    if call.name in _DECOMPOSED:
        return "the host looks whether it failed"
    return "the host needs values" if any(tag in call.func.tags for tag in _OF_VALUES) else None


def upload_of(call: Call) -> str | None:
    """Why the host waits to hand values to the device; None where it does not."""
    if call.name not in _COPIES:
        return None
    source, target, free = _copied(call)
    return "a copy to the device" if source.type == "cpu" and target.type == "cuda" and not free else None


def _copied(call: Call) -> tuple[torch.device, torch.device, bool]:
    """From where, to where, and whether the host goes on meanwhile."""
    if call.name == "_to_copy":
        source = call.args[0].device
        return source, torch.device(call.kwargs.get("device") or source), bool(call.kwargs.get("non_blocking"))
    target, source = (next(_tensors(values)).device for values in call.args[:2])
    free = call.args[2] if len(call.args) > 2 else call.kwargs.get("non_blocking")
    return source, target, bool(free)


def _listed(frame: FrameType | None, why: str) -> str:
    """The name in `MAY_WAIT` of the innermost function of `dqh` that is running; `DeviceWaitError` for none."""
    names = []
    while frame is not None:
        if (module := frame.f_globals.get("__name__", "")).startswith("dqh."):
            names.append(f"{module}.{frame.f_code.co_qualname.removesuffix('.<locals>.<listcomp>')}")
            if names[-1] in MAY_WAIT:
                return names[-1]
        frame = frame.f_back
    raise DeviceWaitError(f"{why}, in {' < '.join(names[:4]) or 'no function of dqh'}; nothing of it is in MAY_WAIT")


def _tensors(value: Any) -> Iterator[Tensor]:
    """All that arguments hold."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _held(value: Any) -> Any:
    """Arguments with the values of what is on CUDA."""
    if isinstance(value, OnCuda):
        return value.held
    if isinstance(value, dict):
        return {name: _held(part) for name, part in value.items()}
    return type(value)(map(_held, value)) if type(value) in (list, tuple) else value


def _placed(value: Any, call: Call) -> Any:
    """A result on CUDA; what an operation has changed in place is what it was given."""
    if isinstance(value, Tensor):
        given = [part for part in call.tensors if isinstance(part, OnCuda) and part.held is value]
        return given[0] if given else OnCuda(value)
    return type(value)(_placed(part, call) for part in value) if type(value) in (list, tuple) else value
