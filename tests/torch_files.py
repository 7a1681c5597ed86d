"""Files such as so3krates-torch saves, made without PyTorch from parameters in mlff's arrangement."""

import collections
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from so3lab.pretrained.names import rows
from so3lab.settings import ModelSettings

CLASSES = {
    "": "so3krates_torch.modules.models.SO3LR", "charge_embedding": "so3krates_torch.blocks.embedding.ChargeSpinEmbedding",
}  # fmt: skip
INNER = "torch.nn.modules.container.Sequential"


class _Storage:
    """Refers to numbers outside the pickle."""

    def __init__(self, key: str, array: np.ndarray):
        self.identifier = ("storage", _named("torch.FloatStorage"), key, "cpu", array.size)


class _Reduced:
    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.identifier if isinstance(value, _Storage) else None


def _named(dotted: str) -> type:
    """A class of this name that pickles by reference, in a module made up for it."""
    module_name, _, name = dotted.rpartition(".")
    module = sys.modules.setdefault(module_name, types.ModuleType(module_name))
    if not hasattr(module, name):
        setattr(module, name, type(name, (), {"__module__": module_name}))
    return getattr(module, name)


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
    before = set(sys.modules)
    storages: list[np.ndarray] = []
    try:
        root = _module("", CLASSES | dict(classes or {}), tensors, storages, attributes)
        pickled = io.BytesIO()
        _Pickler(pickled, 2).dump(root)
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("so3lr/data.pkl", pickled.getvalue())
        archive.writestr("so3lr/byteorder", "little")
        for key, array in enumerate(storages):
            archive.writestr(f"so3lr/data/{key}", array.astype("<f4").tobytes())
    return stream.getvalue()


def _module(place: str, classes: Mapping[str, str], tensors, storages: list, attributes: Mapping[str, Any] = {}) -> Any:  # noqa: B006
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
    module.__dict__ |= {**attributes, "_parameters": parameters, "_buffers": collections.OrderedDict(), "_modules": inner}
    return module


def _tensor(array: np.ndarray, storages: list) -> Any:
    storages.append(array)
    strides = tuple(stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides)
    rebuild, parameter = _function("torch._utils._rebuild_tensor_v2"), _function("torch._utils._rebuild_parameter")
    storage = _Storage(str(len(storages) - 1), array)
    plain = _Reduced(rebuild, storage, 0, array.shape, strides, False, collections.OrderedDict())
    return _Reduced(parameter, plain, True, collections.OrderedDict())


def _function(dotted: str) -> Any:
    """A function of this name, as :func:`_named` for classes."""
    module_name, _, name = dotted.rpartition(".")
    module = sys.modules.setdefault(module_name, types.ModuleType(module_name))
    if not hasattr(module, name):
        function = types.FunctionType((lambda *a: None).__code__, {}, name)
        function.__module__, function.__qualname__ = module_name, name
        setattr(module, name, function)
    return getattr(module, name)
