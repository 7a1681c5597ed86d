"""How arrays are taken out of a foreign pickle: NumPy's and JAX's by their raw bytes, all else refused."""

from typing import Any

import numpy as np

from so3lab.pretrained.inert_pickle import Call, Name, PickleRefused, read

FLOATS = ("f2", "f4", "f8")
_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_FROM_BUFFER = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
_JAX_ARRAY = ("jax._src.array._reconstruct_array",)
_FROZEN = ("flax.core.frozen_dict.FrozenDict",)
MAX_DEPTH = 50

Tree = dict[str, np.ndarray]
"""Arrays by their path, such as ``layers_0/attention_block/Wq1``."""


def arrays_from_pickle(data: bytes) -> Tree:
    """Arrays of a pickled nested dictionary of parameters, by path.

    Args:
        data: The pickle. It may hold dictionaries with text keys and floating-point arrays, nothing else.

    Raises:
        PickleRefused: If it holds anything else, or is damaged.
    """
    collector = _Collector(len(data))
    collector.add(read(data), "", MAX_DEPTH)
    return collector.found


def flat_tree(tree: Any) -> Tree:
    """A nested dictionary of arrays as one dictionary with paths for names."""
    collector = _Collector()
    collector.add(tree, "", MAX_DEPTH)
    return collector.found


class _Collector:
    """Adds up the arrays of a nested dictionary; references cannot multiply the work.

    Args:
        room: Bytes that all arrays together may take; those of a pickle lie in it, each once.
    """

    def __init__(self, room: float = float("inf")):
        self.found: Tree = {}
        self._room = room
        self._seen: set[int] = set()

    def add(self, value: Any, path: str, depth: int) -> None:
        """Add what is below ``value``, nested no deeper than ``depth``."""
        if isinstance(value, Call) and value.calls(*_FROZEN):
            value = _tuple(value.arguments, 1, path)[0]
        if not isinstance(value, dict):
            array = value if isinstance(value, np.ndarray) else array_of(value, path)
            self._room -= array.nbytes
            if self._room < 0:
                raise PickleRefused(f"{path:.80} and others hold more numbers than the file has bytes")
            self.found[path] = array
            return
        if id(value) in self._seen or not depth:
            raise PickleRefused(f"the dictionary {path!r:.80} holds itself, is used twice or is nested too deeply")
        self._seen.add(id(value))
        for key, inner in value.items():
            if not isinstance(key, str):
                raise PickleRefused(f"parameters must be named by text, got {key!r:.80} in {path!r:.80}")
            self.add(inner, f"{path}/{key}" if path else key, depth - 1)


def array_of(value: Any, path: str = "") -> np.ndarray:
    """The array that an unread object describes.

    Raises:
        PickleRefused: If it is not a plain floating-point array whose bytes are all there.
    """
    if isinstance(value, Call) and value.calls(*_JAX_ARRAY):
        function, arguments, state, *_ = _tuple(value.arguments, 3, path)
        value = Call(function, arguments, state)
    if isinstance(value, Call) and value.calls(*_RECONSTRUCT):
        _, shape, dtype, fortran, raw = _tuple(value.state, 5, path)
        order = "F" if fortran is True else "C"
    elif isinstance(value, Call) and value.calls(*_FROM_BUFFER):
        raw, dtype, shape, order = _tuple(value.arguments, 4, path)
    else:
        raise PickleRefused(f"{path or 'the file'} holds {_describe(value)} where only arrays are admitted")
    return _array(_raw_bytes(raw), _dtype(dtype, path), shape, order, path)


def _array(raw: bytes, dtype: np.dtype, shape: Any, order: Any, path: str) -> np.ndarray:
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise PickleRefused(f"{path} is an array of the impossible shape {shape!r:.80}")
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size != len(raw):
        raise PickleRefused(f"{path} is damaged: shape {shape!r:.80} needs {size} bytes, but there are {len(raw)}")
    values = np.frombuffer(raw, dtype).reshape(shape, order="F" if order == "F" else "C")
    return np.ascontiguousarray(values, dtype.newbyteorder("="))


def _dtype(value: Any, path: str) -> np.dtype:
    """Of ``numpy.dtype(code, align, copy)`` and its state, whose second entry is the byte order."""
    if not (isinstance(value, Call) and value.calls("numpy.dtype") and isinstance(value.arguments, tuple)):
        raise PickleRefused(f"{path} has no plain data type")
    code = value.arguments[0] if value.arguments else None
    state = value.state if isinstance(value.state, tuple) else (None, "<")
    byte_order = state[1] if len(state) > 1 else "<"
    if code not in FLOATS or byte_order not in ("<", ">", "|", "="):
        raise PickleRefused(f"{path} has data type {code!r:.20}, but only floating-point arrays are admitted")
    return np.dtype(code).newbyteorder(">" if byte_order == ">" else "<")


def _raw_bytes(value: Any) -> bytes:
    """Bytes, which old pickle protocols write as text that is encoded when they are read."""
    if isinstance(value, Call) and value.calls("_codecs.encode"):
        text, encoding = _tuple(value.arguments, 2, "")
        if isinstance(text, str) and encoding in ("latin1", "latin-1"):
            return text.encode("latin-1")
    if isinstance(value, Call) and value.calls("__builtin__.bytes") and value.arguments == ():
        return b""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise PickleRefused(f"the contents of an array are {_describe(value)} where bytes are expected")


def _tuple(value: Any, at_least: int, path: str) -> tuple:
    if not isinstance(value, tuple) or len(value) < at_least:
        raise PickleRefused(f"{path or 'an array'} is not described the way NumPy describes arrays")
    return value


def _describe(value: Any) -> str:
    if isinstance(value, Call):
        return f"a call of {value.function!s:.80}" if isinstance(value.function, Name) else "a nested call"
    return f"{value!s:.80}" if isinstance(value, Name) else f"a {type(value).__name__}"
