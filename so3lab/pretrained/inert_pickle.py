"""How a foreign pickle is read without trusting it: as data, by an interpreter that cannot import, call or execute.

Python's own unpickler calls whatever a file names. This one knows the instructions that published parameter
files consist of and builds plain values; where a file names a class or a function it gets a :class:`Name`, and
where it calls one it gets a :class:`Call` that says what would have been called with what. Nothing a file says is
looked up, and every length it states is compared with the bytes that are there, so a file cannot run code and
cannot make us reserve more memory than a small multiple of its own size.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_MARKS = 1000
"""How deep unfinished lists, tuples and dictionaries may be nested; real files need a dozen."""


class PickleRefused(ValueError):
    """The file is damaged, or holds instructions that no parameter file needs."""


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle mentions; only its name, never the thing itself."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Call:
    """An object that a pickle would have made by calling ``function``, and what it did to it afterwards."""

    function: Any
    arguments: Any
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    """What would have been assigned by key, as to an ``OrderedDict``."""
    appended: list[Any] = field(default_factory=list)

    def calls(self, *names: str) -> bool:
        """Whether the function has one of these dotted names."""
        return isinstance(self.function, Name) and str(self.function) in names


@dataclass(frozen=True)
class Persistent:
    """A reference to something outside the pickle, such as a tensor's storage."""

    identifier: Any


_MARK = object()
_PUSHED = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read(data: bytes) -> Any:
    """The value that a pickle describes, made of plain values, :class:`Name`, :class:`Call` and :class:`Persistent`.

    Args:
        data: The whole pickle; protocol 2 or later.

    Raises:
        PickleRefused: If it is damaged or truncated, or uses an instruction outside those that hold parameters.
    """
    machine = _Machine(len(data))
    try:
        for instruction, argument, _ in pickletools.genops(data):
            machine.do(instruction.name, argument)
    except PickleRefused:
        raise
    except Exception as error:  # whatever a damaged file makes the disassembler or a list stumble over
        raise PickleRefused(f"the pickle is damaged or truncated ({error or type(error).__name__})") from error
    return machine.result()


class _Machine:
    """The stack, the memo and the few instructions that are needed."""

    def __init__(self, size: int):
        self._size = size
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._marks = 0
        self._do: dict[str, Callable[[Any], None]] = {
            "GLOBAL": self._global, "STACK_GLOBAL": self._stack_global,
            "REDUCE": self._call, "NEWOBJ": self._call, "BUILD": self._build,
            "EMPTY_LIST": lambda _: self._stack.append([]), "EMPTY_DICT": lambda _: self._stack.append({}),
            "MARK": self._mark, "TUPLE": lambda _: self._stack.append(tuple(self._since_mark())),
            "APPEND": lambda _: self._extend(self._pop(1)),
            "APPENDS": lambda _: self._extend(self._since_mark()),
            "SETITEM": lambda _: self._assign(self._pop(2)), "SETITEMS": lambda _: self._assign(self._since_mark()),
            "BINPERSID": lambda _: self._stack.append(Persistent(*self._pop(1))),
            "BINPUT": self._remember, "LONG_BINPUT": self._remember,
            "MEMOIZE": lambda _: self._remember(len(self._memo)),
            "BINGET": self._recall, "LONG_BINGET": self._recall,
            "PROTO": lambda _: None, "STOP": lambda _: None, "FRAME": self._frame,
        }  # fmt: skip

    def do(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self._stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in self._do:
            self._do[name](argument)
        else:
            raise PickleRefused(f"the pickle uses the instruction {name}, which files of parameters do not need")

    def result(self) -> Any:
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise PickleRefused("the pickle is damaged: it does not describe exactly one value")
        return self._stack[0]

    def _pop(self, count: int) -> list[Any]:
        """The topmost values, in the order they were pushed."""
        if count > len(self._stack):
            raise PickleRefused("the pickle is damaged: it takes values that it never made")
        values = self._stack[len(self._stack) - count :]
        if any(value is _MARK for value in values):
            raise PickleRefused("the pickle is damaged: it takes values across the start of a list")
        del self._stack[len(self._stack) - count :]
        return values

    def _since_mark(self) -> list[Any]:
        count = 0
        while self._stack[-1 - count] is not _MARK:
            count += 1
        values = self._pop(count)
        self._stack.pop()
        self._marks -= 1
        return values

    def _mark(self, _argument: Any) -> None:
        self._marks += 1
        if self._marks > MAX_MARKS:
            raise PickleRefused(f"the pickle nests more than {MAX_MARKS} lists")
        self._stack.append(_MARK)

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(Name(module, name))

    def _stack_global(self, _argument: Any) -> None:
        module, name = self._pop(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleRefused("the pickle names a class by something that is not text")
        self._stack.append(Name(module, name))

    def _call(self, _argument: Any) -> None:
        function, arguments = self._pop(2)
        self._stack.append(Call(function, arguments))

    def _build(self, _argument: Any) -> None:
        target, state = self._pop(2)
        if not isinstance(target, Call):
            raise PickleRefused(f"the pickle sets the state of a {type(target).__name__}")
        target.state = state
        self._stack.append(target)

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Call):
            target.appended.extend(values)
        elif isinstance(target, list):
            target.extend(values)
        else:
            raise PickleRefused(f"the pickle appends to a {type(target).__name__}")

    def _assign(self, values: list[Any]) -> None:
        target = self._stack[-1]
        items = target.items if isinstance(target, Call) else target
        if not isinstance(items, dict) or len(values) % 2:
            raise PickleRefused(f"the pickle assigns items of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int):
                raise PickleRefused(f"the pickle holds a dictionary with a {type(key).__name__} as key")
            items[key] = value

    def _remember(self, index: int) -> None:
        if index > self._size:
            raise PickleRefused(f"the pickle numbers more values ({index}) than it has bytes")
        value = self._pop(1)[0]
        self._stack.append(value)
        self._memo[index] = value

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise PickleRefused("the pickle is damaged: it refers to a value that it never made")
        self._stack.append(self._memo[index])

    def _frame(self, length: int) -> None:
        if length > self._size:
            raise PickleRefused("the pickle is truncated: a block is longer than the file")
