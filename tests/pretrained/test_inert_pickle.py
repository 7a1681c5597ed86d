"""Foreign pickles are read as data: nothing in them runs, nothing large is reserved, damage is refused."""

import contextlib
import io
import os
import pickle
import pickletools
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from so3lab.pretrained.arrays import arrays_from_pickle, flat_tree
from so3lab.pretrained.inert_pickle import Call, Name, PickleRefused, read
from so3lab.pretrained.torch_archive import read_torch_model


class Runs:
    """Pickles to a call of any function."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def attacks(mark: str) -> dict[str, bytes]:
    """Pickles that would create the file ``mark``, or break something, in Python's own unpickler."""
    array = np.arange(3.0)
    reconstruct = array.__reduce__()[0]
    shell = f"touch {mark}"
    values = {
        "os.system": Runs(os.system, shell),
        "eval": Runs(eval, f"open({mark!r}, 'w')"),
        "exec": Runs(exec, f"open({mark!r}, 'w')"),
        "getattr": Runs(getattr, Runs(__import__, "os"), "system"),
        "state": Runs(Runs, print, state={"x": Runs(os.system, shell)}),
        "inside an array's shape": Runs(
            reconstruct, np.ndarray, (0,), b"b", state=(1, Runs(os.system, shell), 0, 0, b"")
        ),
        "inside an array's type": Runs(
            reconstruct, np.ndarray, (0,), b"b", state=(1, (3,), Runs(eval, "1"), False, b"")
        ),
        "object array": np.array([Runs(os.system, shell)], dtype=object),
        "numpy's loader": Runs(np.load, mark),
        "numpy's memmap": Runs(np.memmap, mark, "uint8", "w+", 0, (1,)),
        "numpy's subclass": Runs(reconstruct, np.memmap, (0,), b"b"),
    }
    found = {name: pickle.dumps({"params": {"w": value}}) for name, value in values.items()}
    found["instance"] = f"(ios\nsystem\n(S'{shell}'\ntR.".encode()
    found["old class"] = b"(cos\nsystem\n" + f"S'{shell}'\no.".encode()
    found["extension"] = b"\x80\x02\x82\x01."
    return found


@pytest.mark.parametrize("name", sorted(attacks("x")))
def test_an_attack_runs_nothing_and_is_refused(name, tmp_path):
    mark = tmp_path / "mark"
    data = attacks(str(mark))[name]
    with pytest.raises(PickleRefused):
        arrays_from_pickle(data)
    with pytest.raises(PickleRefused):
        read_torch_model(torch_file(data))
    assert not mark.exists()


def test_the_attacks_are_real(tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(attacks(str(mark))["os.system"])
    assert mark.exists()


def torch_file(pickled: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("model/data.pkl", pickled)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04B\xff\xff\xff\x7fab.",  # bytes of 2 GB of which 2 are there
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"ab.",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"ab.",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",  # a frame
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # the memo's two-billionth place
        b"\x80\x02K\x01" + b"(" * 2000 + b".",
    ],
)
def test_stated_lengths_reserve_nothing(data):
    tracemalloc.start()
    with pytest.raises(PickleRefused):
        arrays_from_pickle(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_an_array_cannot_be_larger_than_its_bytes():
    reconstruct = np.arange(3.0).__reduce__()[0]
    for shape in [(1 << 40,), (1 << 40, 1 << 40), (-1,), (3.0,), 3]:
        state = (1, shape, np.dtype("f8"), False, b"12345678")
        data = pickle.dumps({"w": Runs(reconstruct, np.ndarray, (0,), b"b", state=state)})
        with pytest.raises(PickleRefused, match="w "):
            arrays_from_pickle(data)


def test_references_cannot_multiply_the_work():
    tree = {"w": np.ones(1)}
    for _ in range(40):
        tree = {"a": tree, "b": tree}
    with pytest.raises(PickleRefused, match="used twice"):
        arrays_from_pickle(pickle.dumps(tree))
    once = np.ones(1000)
    with pytest.raises(PickleRefused, match="more numbers than the file has bytes"):
        arrays_from_pickle(pickle.dumps({str(n): once for n in range(50)}))
    nameless: dict = {}
    for _ in range(2000):
        nameless = {"": nameless}
    with pytest.raises(PickleRefused, match="nested too deeply"):
        flat_tree(nameless)
    circle: dict = {}
    circle["a"] = circle
    with pytest.raises(PickleRefused, match="holds itself"):
        arrays_from_pickle(pickle.dumps(circle))


def test_deep_nesting_is_survived():
    deep = b"\x80\x02N" + b"\x85" * 200_000 + b"."
    with pytest.raises(PickleRefused):
        arrays_from_pickle(deep)
    calls = b"\x80\x02cos\nsystem\n" + b")R" * 100_000 + b"."
    assert isinstance(read(calls), Call)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_arrays_come_back(protocol):
    tree = {
        "params": {
            "c": np.arange(6, dtype="f4").reshape(2, 3),
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "swapped": np.arange(4, dtype=">f8"),
            "number": np.array(2.5, "f2"),
            "empty": np.zeros((0, 3), "f4"),
        }
    }
    found = arrays_from_pickle(pickle.dumps(tree, protocol))
    assert set(found) == {f"params/{name}" for name in tree["params"]}
    for name, expected in tree["params"].items():
        np.testing.assert_array_equal(found[f"params/{name}"], expected)
        assert found[f"params/{name}"].dtype == expected.dtype.newbyteorder("=")


def test_arrays_of_jax_come_back():
    import jax.numpy as jnp

    found = arrays_from_pickle(pickle.dumps({"w": jnp.arange(3.0)}))
    np.testing.assert_array_equal(found["w"], [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "value", [{"w": np.arange(3)}, {"w": np.array(["a"])}, {"w": 1.0}, {1: np.ones(1)}, [1], {"w": {1}}]
)
def test_anything_but_named_floats_is_refused(value):
    with pytest.raises(PickleRefused):
        arrays_from_pickle(pickle.dumps(value, 4))


def test_a_file_cut_anywhere_is_refused():
    data = pickle.dumps({"params": {"a": np.arange(20.0), "b": np.ones((2, 2), "f4")}})
    for length in range(0, len(data) - 1, 3):
        with pytest.raises(PickleRefused):
            arrays_from_pickle(data[:length])


def test_no_byte_turned_over_does_more_than_change_numbers():
    data = pickle.dumps({"w": np.arange(4.0)})
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
        with contextlib.suppress(PickleRefused):
            assert all(isinstance(array, np.ndarray) for array in arrays_from_pickle(changed).values())


def test_names_stay_names():
    value = read(pickle.dumps(os.path.join))
    assert value == Name(os.path.join.__module__, "join")


def test_every_instruction_is_decided():
    """None of the instructions that import, instantiate or extend by registry is known to the reader."""
    for instruction in pickletools.opcodes:
        if instruction.name in {
            "INST",
            "OBJ",
            "NEWOBJ_EX",
            "EXT1",
            "EXT2",
            "EXT4",
            "NEXT_BUFFER",
            "PERSID",
            "GET",
            "PUT",
        }:
            from so3lab.pretrained.inert_pickle import _Machine

            with pytest.raises(PickleRefused, match=instruction.name):
                _Machine(10).do(instruction.name, None)


def test_a_compressed_or_foreign_archive_is_refused():
    pickled = pickle.dumps({"a": 1}, 2)
    with pytest.raises(PickleRefused, match="compressed"):
        read_torch_model(torch_file(pickled, zipfile.ZIP_DEFLATED))
    with pytest.raises(PickleRefused, match="no PyTorch module"):
        read_torch_model(torch_file(pickled))
    for data in (b"PK, but no zip", torch_file(pickled).replace(b"PK\x01\x02", b"PK\x01\x01")):
        with pytest.raises(PickleRefused, match="damaged"):
            read_torch_model(data)
    with pytest.raises(PickleRefused, match="damaged"):
        read_torch_model(torch_file(pickled)[:-30])
