"""Files such as so3krates-torch saves, made without PyTorch from parameters in mlff's arrangement."""

import collections
import io
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from so3lab.network.settings import ModelSettings
from so3lab.pretrained.names import rows

ROOT = "so3krates_torch.modules.models.SO3LR"
INNER = "torch.nn.modules.container.Sequential"


class _Storage:
    """Refers to numbers outside the pickle."""

    def __init__(self, key: str, array: np.ndarray):
        self.identifier = ("storage", _named("torch.FloatStorage"), key, "cpu", array.size)


class _Reduced:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes classes by their names, whether or not they can be imported."""

    def persistent_id(self, value: Any) -> Any:
        return value.identifier if isinstance(value, _Storage) else None

    def _save_name(self, value: type, name: str | None = None) -> None:
        self.write(f"c{value.__module__}\n{value.__name__}\n".encode())
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {type: _save_name}  # type: ignore[attr-defined]


def _named(dotted: str) -> type:
    """A class of this name."""
    module, _, name = dotted.rpartition(".")
    return _MADE.setdefault(dotted, type(name, (), {"__module__": module}))


_MADE: dict[str, type] = {}


def torch_parameters(settings: ModelSettings, mlff: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """mlff's parameters under the port's names and in its arrangement."""
    found = {}
    for row in rows(settings):
        for theirs, name in zip(row.mlff, row.torch, strict=True):
            array = mlff[theirs]
            if row.kind == "kernel":
                array = array.T
            elif row.kind == "heads":
                array = array.swapaxes(-1, -2)
            elif row.kind == "elements":
                array = array[1:].T if array.ndim == 2 else array[None, 1:]
                array = array[0] if name.endswith("energy_shifts") else array
            found[name] = np.ascontiguousarray(array)
    return found


def torch_file(
    attributes: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    classes: Mapping[str, str] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """What ``torch.save(model)`` writes; ``classes`` are those of modules by dotted name."""
    storages: list[np.ndarray] = []
    pickled = io.BytesIO()
    _Pickler(pickled, 2).dump(_module("", {"": ROOT} | dict(classes or {}), tensors, storages, attributes))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("so3lr/data.pkl", pickled.getvalue())
        archive.writestr("so3lr/byteorder", "little")
        for key, array in enumerate(storages):
            archive.writestr(f"so3lr/data/{key}", array.astype("<f4").tobytes())
    return stream.getvalue()


def _module(
    place: str,
    classes: Mapping[str, str],
    tensors: Mapping[str, np.ndarray],
    storages: list[np.ndarray],
    attributes: Mapping[str, Any] | None = None,
) -> Any:
    module = _named(classes.get(place, INNER))()
    parameters, inner = collections.OrderedDict(), collections.OrderedDict()
    prefix = f"{place}." if place else ""
    for name in tensors:
        if name.startswith(prefix):
            head, dot, _ = name.removeprefix(prefix).partition(".")
            if dot:
                inner[head] = None
            else:
                parameters[head] = _tensor(tensors[name], storages)
    for name in inner:
        inner[name] = _module(f"{prefix}{name}", classes, tensors, storages)
    module.__dict__.update(attributes or {})
    module.__dict__.update(_parameters=parameters, _buffers=collections.OrderedDict(), _modules=inner)
    return module


def _tensor(array: np.ndarray, storages: list[np.ndarray]) -> Any:
    storages.append(array)
    strides = tuple(stride // array.itemsize for stride in array.strides)
    storage = _Storage(str(len(storages) - 1), array)
    rebuild = _named("torch._utils._rebuild_tensor_v2")
    plain = _Reduced(rebuild, storage, 0, array.shape, strides, False, collections.OrderedDict())
    return _Reduced(_named("torch._utils._rebuild_parameter"), plain, True, collections.OrderedDict())
