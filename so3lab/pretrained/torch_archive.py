"""How a model saved by PyTorch is read without PyTorch: a zip of raw storages and a pickle that says what they are."""

import io
import zipfile
from typing import Any, NamedTuple

import numpy as np

from so3lab.pretrained.inert_pickle import Call, Name, Persistent, PickleRefused, read

STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.BoolStorage": "|b1",
}
_ORDERED = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"


class TorchModel(NamedTuple):
    """A module with everything in it, as plain data."""

    kind: str
    """The module's class, by name."""
    attributes: dict[str, Any]
    """Plain attributes of the module itself: numbers, text, lists of them, and names of classes."""
    submodules: dict[str, str]
    """The class of every module inside, by dotted name."""
    tensors: dict[str, np.ndarray]
    """Parameters and buffers by dotted name; one that several modules share appears under its first name."""


def read_torch_model(data: bytes) -> TorchModel:
    """The modules, plain attributes and tensors of a saved ``torch.nn.Module``.

    Args:
        data: The whole file.

    Raises:
        PickleRefused: If it is damaged, compressed, or holds something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Reader(archive, len(data)).model()
    except (zipfile.BadZipFile, EOFError, RecursionError, NotImplementedError, OSError) as error:
        raise PickleRefused(f"the file is damaged or truncated ({error})") from error


class _Reader:
    """Walks the modules of one archive; all tensors together may hold as many numbers as it has bytes."""

    def __init__(self, archive: zipfile.ZipFile, room: int):
        self._archive = archive
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleRefused(f"the file is no saved PyTorch model: it holds {len(pickles)} data.pkl")
        self._folder = pickles[0].removesuffix("/data.pkl")
        self._root = read(self._member(pickles[0]))
        order = f"{self._folder}/byteorder"
        if order in archive.namelist() and self._member(order).strip() != b"little":
            raise PickleRefused("the file was written on a big-endian machine, which is not supported")
        self._visited: set[int] = set()
        self._submodules: dict[str, str] = {}
        self._tensors: dict[str, np.ndarray] = {}
        self._storages: dict[tuple[str, str], np.ndarray] = {}
        self._room = room

    def model(self) -> TorchModel:
        """The root module."""
        if not _is_module(self._root):
            raise PickleRefused("the file holds no PyTorch module; save the whole model, not its state_dict")
        self._walk(self._root, "")
        attributes = {
            name: value for name, value in self._root.state.items() if not name.startswith("_") and _plain(value)
        }
        return TorchModel(str(self._root.function), attributes, self._submodules, self._tensors)

    def _member(self, name: str) -> bytes:
        """A stored file; never a compressed one, whose size could be anything."""
        try:
            member = self._archive.getinfo(name)
        except KeyError:
            raise PickleRefused(f"the file is damaged: it lacks {name}") from None
        if member.compress_type != zipfile.ZIP_STORED:
            raise PickleRefused(f"{name} is compressed, which PyTorch never does")
        return self._archive.read(member)

    def _walk(self, module: Call, prefix: str) -> None:
        if id(module) in self._visited:
            return
        self._visited.add(id(module))
        self._submodules[prefix.rstrip(".")] = str(module.function)
        for kind in ("_parameters", "_buffers"):
            for name, value in _items(module.state.get(kind)).items():
                if value is not None:
                    self._tensors[f"{prefix}{name}"] = self._tensor(value, f"{prefix}{name}")
        for name, inner in _items(module.state.get("_modules")).items():
            if _is_module(inner):
                self._walk(inner, f"{prefix}{name}.")
            elif inner is not None:
                raise PickleRefused(f"{prefix}{name} is no module")

    def _tensor(self, value: Any, name: str) -> np.ndarray:
        arguments = _arguments(value, _PARAMETER)
        if arguments:
            value = arguments[0]
        arguments = _arguments(value, _TENSOR)
        if len(arguments) < 4:
            raise PickleRefused(f"{name} is not a plain tensor")
        storage, offset, shape, strides = arguments[:4]
        numbers = _strided(self._storage(storage, name), offset, shape, strides, name)
        self._room -= numbers.size
        if self._room < 0:
            raise PickleRefused(f"{name:.80} and other tensors hold more numbers than the file has bytes")
        return numbers

    def _storage(self, value: Any, name: str) -> np.ndarray:
        """The numbers of a storage; PyTorch refers to it as ("storage", type, key, device, count)."""
        identifier = value.identifier if isinstance(value, Persistent) else None
        if not (isinstance(identifier, tuple) and len(identifier) == 5 and identifier[0] == "storage"):
            raise PickleRefused(f"{name} refers to no storage")
        _, kind, key, _, count = identifier
        if str(kind) not in STORAGES or not isinstance(kind, Name):
            raise PickleRefused(f"{name} holds {kind!s:.60}; supported are {', '.join(sorted(STORAGES))}")
        if not (isinstance(key, str) and key.isdecimal()):
            raise PickleRefused(f"{name} refers to a storage by {key!r:.60}")
        if (str(kind), key) not in self._storages:
            raw = self._member(f"{self._folder}/data/{key}")
            self._storages[str(kind), key] = np.frombuffer(raw, STORAGES[str(kind)])
        numbers = self._storages[str(kind), key]
        if numbers.size != count:
            raise PickleRefused(f"{name} is damaged: {count} numbers are stated, {numbers.size} are there")
        return numbers


def _strided(numbers: np.ndarray, offset: Any, shape: Any, strides: Any, name: str) -> np.ndarray:
    """A copy of the part of a storage that a tensor shows; never larger than the storage, never outside it."""
    whole = [offset, *shape, *strides] if isinstance(shape, tuple) and isinstance(strides, tuple) else [None]
    if not all(type(n) is int and n >= 0 for n in whole) or len(shape) != len(strides) or len(shape) > 8:
        raise PickleRefused(f"{name} has an impossible shape or strides")
    count = 1
    last = offset
    for n, stride in zip(shape, strides, strict=True):
        count *= n
        last += (n - 1) * stride
    if count and (last >= numbers.size or count > numbers.size):
        raise PickleRefused(f"{name} is damaged: its shape {shape!r:.80} reaches beyond its storage")
    if not count:
        return np.zeros(shape, numbers.dtype)
    view = np.lib.stride_tricks.as_strided(
        numbers[offset:], shape, tuple(stride * numbers.itemsize for stride in strides), writeable=False
    )
    return np.array(view)


def _arguments(value: Any, function: str) -> tuple:
    """What ``function`` would have been called with; empty if it would not have been called."""
    called = isinstance(value, Call) and value.calls(function) and isinstance(value.arguments, tuple)
    return value.arguments if called else ()


def _is_module(value: Any) -> bool:
    return isinstance(value, Call) and isinstance(value.state, dict) and "_modules" in value.state


def _items(value: Any) -> dict[str, Any]:
    """Of a dictionary, or of an ``OrderedDict`` that was not made."""
    items = value.items if isinstance(value, Call) and value.calls(_ORDERED) else value
    if items is None:
        return {}
    if not (isinstance(items, dict) and all(isinstance(key, str) for key in items)):
        raise PickleRefused("the parts of a module are not named by text")
    return items


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, bool | int | float | str) for item in value)
    return value is None or isinstance(value, bool | int | float | str | Name)
