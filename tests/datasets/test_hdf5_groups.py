"""Groups of HDF5 files have cells, stresses and two sets of labels like every other format, and say what was read."""

import h5py
import numpy as np
import pytest
from labelled_springs import springs
from strained_crystals import strained

from so3lab import datasets
from so3lab.units import bohr, hartree


@pytest.fixture(scope="module")
def crystals():
    return strained(frames=40)


def written(path, groups, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update({"energy_unit": "eV", **attributes})
        for name, values in groups.items():
            for key, value in values.items():
                file[f"{name}/{key}"] = value
    return path


def of_crystals(crystals, **others):
    return {
        "atomic_numbers": crystals.numbers[0], "positions": np.stack(crystals.positions), "energy": crystals.energies,
        "forces": np.stack(crystals.forces), "cell": crystals.cells, **others,
    }  # fmt: skip


def of_springs(name="CH3CH2OH", frames=40, **others):
    arrays = springs(name, frames=frames)
    return {"z": arrays["numbers"], "R": arrays["positions"], "E": arrays["energies"], "F": arrays["forces"], **others}


@pytest.mark.parametrize("name", ["stress", "stresses", "virials"])
@pytest.mark.parametrize("unit", [1.0, 0.5])
def test_cells_with_stresses(tmp_path, crystals, name, unit):
    """In lengths of half an nm too: a stress is an energy by a volume of the file's own units, a virial an energy."""
    length = 10.0 if unit != 1.0 else 1.0
    volumes = np.linalg.det(crystals.cells)[:, None, None]
    values = -volumes * crystals.stresses if name == "virials" else crystals.stresses * length**3
    entries = of_crystals(crystals, **{name: values})
    entries |= {"positions": entries["positions"] / length, "cell": entries["cell"] / length}
    entries |= {"forces": entries["forces"] * length}
    words = {"length_unit": "nm"} if length != 1.0 else {}
    data = datasets.load(written(tmp_path / "a.h5", {"crystal": entries}, **words))
    np.testing.assert_allclose(data.cells, crystals.cells, atol=1e-10)
    np.testing.assert_allclose(data.stresses, crystals.stresses, atol=1e-10)
    assert data.pbc.all()
    assert data.meta["stresses_read_from"].startswith(name)
    assert data.meta["cells"].startswith("nothing says which directions repeat")


def test_groups_of_one_frame_have_no_axis_of_frames(tmp_path, crystals):
    groups = {
        f"a/{i}": {key: value if key == "atomic_numbers" else value[i]
                   for key, value in of_crystals(crystals, stress=crystals.stresses).items()} | {"pbc": [True] * 3}
        for i in range(6)
    }  # fmt: skip
    data = datasets.load(written(tmp_path / "a.h5", groups))
    np.testing.assert_allclose(data.stresses, crystals.stresses[:6], atol=1e-10)
    assert "cells" not in data.meta
    assert set(data.labels["molecule"]) == {"/a"}


def test_molecules_beside_cells_have_none(tmp_path, crystals):
    molecule = of_springs("CH4")
    molecule |= {"energy": molecule.pop("E"), "forces": molecule.pop("F")}
    groups = {"cell": of_crystals(crystals, virial=crystals.stresses * 0.0), "molecule": molecule}
    data = datasets.load(written(tmp_path / "a.h5", groups), check=False)
    assert data.pbc.any(axis=1).tolist() == [True] * 40 + [False] * 40
    assert np.isfinite(data.stresses).all(axis=(1, 2)).tolist() == [True] * 40 + [False] * 40


def test_names_of_labels_are_said(tmp_path):
    arrays = of_springs()
    two = arrays | {"REF_energy": arrays["E"], "REF_forces": arrays["F"], "E": arrays["E"] + 1.0}
    data = datasets.load(written(tmp_path / "a.h5", {"ethanol": two}))
    np.testing.assert_allclose(data.energies, arrays["E"])
    assert (data.meta["energies_read_from"], data.meta["forces_read_from"]) == ("REF_energy", "REF_forces")
    assert data.meta["labels_left_out"].startswith("'E', 'F': 'REF_energy' and 'REF_forces' are read")
    assert "labels_left_out" not in datasets.load(tmp_path / "a.h5", keys={"energies": "E", "forces": "F"}).meta
    gradient = {"dft_total_gradient": -arrays["F"], **{key: arrays[key] for key in ("z", "R", "E")}}
    data = datasets.load(written(tmp_path / "b.h5", {"a": gradient}), keys={"forces": "dft_total_gradient"})
    assert data.meta["forces_read_from"].startswith("dft_total_gradient times -1")


def test_labels_of_two_names_in_two_groups_are_asked_for(tmp_path):
    second = of_springs("CH4")
    second = {"z": second["z"], "R": second["R"], "dft_energy": second["E"], "dft_forces": second["F"]}
    with pytest.raises(ValueError, match="group /b: energies must stand under one name in all groups, got 'dft_energy"):
        datasets.load(written(tmp_path / "a.h5", {"a": of_springs(), "b": second}))


def test_symbols_of_elements_name_them(tmp_path):
    """ANI-1's files: species as bytes, coordinates, energies in hartree."""
    arrays = of_springs("CH4")
    ani = {"species": np.array([b"C", b"H", b"H", b"H", b"H"]), "coordinates": arrays["R"], "energies": arrays["E"],
           "forces": arrays["F"]}  # fmt: skip
    data = datasets.load(written(tmp_path / "a.h5", {"gdb11_s01/methane": ani}))
    assert data.numbers[0].tolist() == [6, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="must be atomic numbers or symbols of elements, got 'Cx'"):
        datasets.load(written(tmp_path / "b.h5", {"a": ani | {"species": np.array([b"Cx"] * 5)}}))


@pytest.mark.parametrize(
    ("shape", "source"),
    [((3, 3), "one for all"), ((40, 9), "nine numbers"), ((9,), "nine for all"), ((3,), "edges"), ((40, 3), "edges")],
)
def test_cells_in_every_form(tmp_path, shape, source):
    """Of NumPy archives; SchNetPack keeps 3 x 3, GPUMD nine numbers, others edges alone."""
    edges = np.array([20.0, 21.0, 22.0])
    cell = np.diag(edges) if 9 in shape or shape[-2:] == (3, 3) else edges
    values = np.broadcast_to(cell.reshape(shape if shape[0] != 40 else (1, shape[1])), shape)
    np.savez(tmp_path / "a.npz", **of_springs(), cell=values)
    data = datasets.load(tmp_path / "a.npz", energy_unit="eV")
    np.testing.assert_allclose(data.cells, np.broadcast_to(np.diag(edges), (40, 3, 3)), err_msg=source)
    assert data.pbc.all()
    assert "repeat" in data.meta["cells"]
    np.savez(tmp_path / "b.npz", **of_springs(), cell=values, pbc=np.array([True, True, False]))
    assert datasets.load(tmp_path / "b.npz", energy_unit="eV").pbc[5].tolist() == [True, True, False]


@pytest.mark.parametrize(("entry", "sentence"), [
    ({"cell": np.ones((40, 4))}, r"cells must be three rows, nine numbers or three edges, .* got shape \(40, 4\)"),
    ({"cell": 20 * np.eye(3), "pbc": np.ones((2, 2))}, r"pbc must have shape \(3,\) or \(40, 3\), got \(2, 2\)"),
    ({"cell": 20 * np.eye(3), "stress": np.ones(6)}, r"six or nine numbers for each of 40 frames, got shape \(6,\)"),
])  # fmt: skip
def test_shapes_that_fit_no_frame_are_refused(tmp_path, entry, sentence):
    np.savez(tmp_path / "a.npz", **of_springs(), **entry)
    with pytest.raises(ValueError, match=sentence):
        datasets.load(tmp_path / "a.npz", energy_unit="eV")


@pytest.mark.parametrize(
    ("names", "source"),
    [
        ({"z": "species", "R": "coordinates", "E": "energies", "F": "forces"}, "ANI-2x"),
        ({"z": "numbers", "R": "coord", "E": "energy", "F": "forces"}, "AIMNet2"),
        ({"z": "atomic_numbers", "R": "conformations", "E": "dft_total_energy", "F": "dft_total_gradient"}, "SPICE"),
        ({"z": "atomic_numbers", "R": "positions", "E": "wB97x_6-31G(d).energy", "F": "wB97x_6-31G(d).forces"},
         "Transition1x"),
    ],
)  # fmt: skip
def test_public_sets_under_their_own_names(tmp_path, names, source):
    """Groups of ANI-2x and AIMNet2 hold molecules of one size, each frame with its elements."""
    entries = {names[key]: value for key, value in of_springs().items()}
    keys = {"forces": names["F"]} if "gradient" in names["F"] else None
    if keys:
        entries[names["F"]] = -entries[names["F"]]
    if source in ("ANI-2x", "AIMNet2"):
        entries[names["z"]] = np.tile(entries[names["z"]], (40, 1))
        entries[names["z"]][::2] = np.roll(entries[names["z"]][::2], -1, axis=1)
        entries[names["R"]][::2] = np.roll(entries[names["R"]][::2], -1, axis=1)
        entries[names["F"]][::2] = np.roll(entries[names["F"]][::2], -1, axis=1)
    path = written(tmp_path / "a.h5", {"009": entries})
    data = datasets.load(path, keys=keys)
    assert (len(data), len(np.unique(data.molecules))) == (40, 2 if source in ("ANI-2x", "AIMNet2") else 1), source
    assert data.remarks == ()


def test_units_stand_beside_arrays(tmp_path):
    """As in SPICE, whose positions are in bohr."""
    entries = of_springs()
    entries |= {"R": entries["R"] / bohr, "E": entries["E"] / hartree, "F": entries["F"] / hartree * bohr}
    path = tmp_path / "spice.hdf5"
    with h5py.File(path, "w") as file:
        for key, value in entries.items():
            file[f"ethanol/{key}"] = value
        for key, unit in (("R", "bohr"), ("E", "hartree"), ("F", "hartree/bohr")):
            file[f"ethanol/{key}"].attrs["units"] = unit
    data = datasets.load(path)
    np.testing.assert_allclose(data.positions[0], of_springs()["R"][0], atol=1e-9)
    np.testing.assert_allclose(data.forces[0], of_springs()["F"][0], atol=1e-9)
    assert data.meta["energy_unit_known_from"] == "field 'energies' of the file"
    with pytest.raises(ValueError, match="energy_unit='eV' was given, but field 'energies' of the file says 'hartree'"):
        datasets.load(path, energy_unit="eV")


def with_units(path, groups, of_file=None):
    """Groups of arrays, each beside its unit or None, and what the group says of itself."""
    with h5py.File(path, "w") as file:
        file.attrs.update(of_file or {})
        for name, (entries, attributes) in groups.items():
            for key, (value, unit) in entries.items():
                file[f"{name}/{key}"] = value
                if unit is not None:
                    file[f"{name}/{key}"].attrs["units"] = unit
            file[name].attrs.update(attributes)
    return path


def in_units(energy, length, force, name="CH3CH2OH", frames=40):
    """Springs whose numbers are in eV/Å, hartree/bohr and the like, with words for them."""
    arrays = springs(name, frames=frames)
    (e, factor_e), (r, factor_r), (f, factor_f) = energy, length, force
    return {
        "z": (arrays["numbers"], None),
        "R": (arrays["positions"] / factor_r, r),
        "E": (arrays["energies"] / factor_e, e),
        "F": (arrays["forces"] / factor_f, f),
    }


@pytest.mark.parametrize("word", ["hartree/bohr", "Hartree Bohr^-1", "hartree*bohr**-1", "Eh a0-1"])
def test_units_of_arrays_are_read_from_their_attributes(tmp_path, word):
    entries = in_units(("hartree", hartree), ("angstrom", 1.0), (word, hartree / bohr))
    data = datasets.load(with_units(tmp_path / "a.h5", {"ethanol": (entries, {})}))
    arrays = springs()
    np.testing.assert_allclose(data.energies, arrays["energies"])
    np.testing.assert_allclose(np.stack(data.forces), arrays["forces"])


def test_units_that_are_unknown_or_differ_between_groups_are_refused(tmp_path):
    plain = ("eV", 1.0), ("angstrom", 1.0)
    unknown = with_units(tmp_path / "a.h5", {"ethanol": (in_units(*plain, ("dyn", 1.0)), {})})
    with pytest.raises(ValueError, match="states forces='dyn', which is no known force unit"):
        datasets.load(unknown)
    unknown = with_units(tmp_path / "b.h5", {"ethanol": (in_units(("erg", 1.0), *plain[1:], ("eV/A", 1.0)), {})})
    with pytest.raises(ValueError, match="states energies='erg', which is none of eV"):
        datasets.load(unknown)
    first, second = (in_units(*plain, (word, 1.0), name) for word, name in (("eV/A", "CH4"), ("hartree/bohr", "C2H6")))
    with pytest.raises(ValueError, match=r"/second states forces in 'hartree/bohr', and what stands before it 'eV/A'"):
        datasets.load(with_units(tmp_path / "c.h5", {"first": (first, {}), "second": (second, {})}))


@pytest.mark.parametrize("where", ["group", "file"])
def test_charges_and_spins_among_attributes_of_groups(tmp_path, where):
    entries = in_units(("eV", 1.0), ("angstrom", 1.0), ("eV/A", 1.0))
    words = {"charge": -1, "multiplicity": 2}
    of_group, of_file = (words, {}) if where == "group" else ({}, words)
    path = with_units(tmp_path / "a.h5", {"ions/ethanol": (entries, of_group)}, of_file)
    data = datasets.load(path)
    assert set(data.total_charges) == {-1.0}
    assert set(data.unpaired_electrons) == {1.0}
    entries["charge"] = (np.zeros(40), None)
    path = with_units(tmp_path / "b.h5", {"ions": (entries, {"total_charge": 1})})
    with pytest.raises(ValueError, match="the total charge must be said once"):
        datasets.load(path)
