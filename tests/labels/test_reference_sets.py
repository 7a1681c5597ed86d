"""The bundled sets are what data/README.md says, and their recipe gives them again."""

import hashlib
import json

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from so3lab import labels, observables
from so3lab.labels import methods, reference_sets, sampling
from so3lab.machine.paths import bundled

NAMES = ["ethanol", "ala2", "ala3"]
HOT = ["ethanol-hot", "ala2-hot", "ala3-hot"]
ATOMS = {"ethanol": 9, "ala2": 22, "ala3": 42}
AT_LEAST = {"ethanol": 1000, "ala2": 3000, "ala3": 2000, "ethanol-hot": 100, "ala2-hot": 280, "ala3-hot": 560}


def contents(name: str) -> dict[str, np.ndarray]:
    with np.load(bundled("data") / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module", params=NAMES + HOT)
def any_set(request):
    return request.param, contents(request.param)


@pytest.fixture(scope="module", params=NAMES)
def bundled_set(request):
    return request.param, contents(request.param)


@pytest.fixture(scope="module", params=HOT)
def hot_set(request):
    return request.param, contents(request.param)


def test_bundled_files_match_their_checksums():
    sums = json.loads((bundled("data") / "checksums.json").read_text())
    assert {f"{name}.npz" for name in NAMES + HOT} <= set(sums)
    for file, expected in sums.items():
        assert hashlib.sha256((bundled("data") / file).read_bytes()).hexdigest() == expected, file


def test_bundled_sets_are_complete_and_finite(any_set):
    name, data = any_set
    frames = len(data["E"])
    assert frames >= AT_LEAST[name]
    assert data["R"].shape == data["F"].shape == (frames, ATOMS[name.removesuffix("-hot")], 3)
    assert data["origin"].shape == data["trajectory"].shape == (frames,)
    assert (str(data["energy_unit"]), str(data["length_unit"])) == ("eV", "angstrom")
    assert data["E"].dtype == np.float64
    assert all(np.isfinite(data[key]).all() for key in "REF")
    meta = json.loads(str(data["meta"]))
    assert {"level_of_theory", "engine", "seed", "command", "licence", "citation"} <= set(meta)


def test_bundled_forces_neither_push_nor_turn_the_molecule(any_set):
    _, data = any_set
    balance = [
        labels.net_force_and_torque(positions.astype(float), forces.astype(float))
        for positions, forces in zip(data["R"], data["F"], strict=True)
    ]
    assert np.max(balance, axis=0)[0] < labels.NET_FORCE_LIMIT
    assert np.max(balance, axis=0)[1] < labels.NET_TORQUE_LIMIT


def test_bundled_frames_are_decorrelated_and_apart(bundled_set):
    _, data = bundled_set
    md = data["origin"] == "md"
    assert sampling.energy_autocorrelation(data["E"][md], data["trajectory"][md]) < 0.3
    assert len(np.unique(data["R"].reshape(len(data["R"]), -1), axis=0)) == len(data["R"])


def test_bundled_frames_keep_their_bonds_and_few_are_distorted(bundled_set):
    name, data = bundled_set
    molecule = sampling.molecule(reference_sets.RECIPES[name].smiles)
    assert (molecule.atomic_numbers == data["z"]).all()
    regular = data["R"][data["origin"] != "distorted"].astype(float)
    assert all(sampling.intact(molecule, positions) for positions in regular[::5])
    assert 0.02 < np.mean(data["origin"] == "distorted") < 0.05


def test_hot_frames_keep_their_bonds_and_a_third_of_them_are_distorted(hot_set):
    name, data = hot_set
    molecule = sampling.molecule(reference_sets.RECIPES[name].smiles)
    assert (molecule.atomic_numbers == data["z"]).all()
    distorted = data["origin"] == "distorted"
    assert all(sampling.intact(molecule, positions) for positions in data["R"][~distorted][::5].astype(float))
    assert 0.25 < distorted.mean() < 0.4


def test_hot_sets_compress_and_stretch_every_bond(hot_set):
    name, data = hot_set
    molecule = sampling.molecule(reference_sets.RECIPES[name].smiles)
    first, second = molecule.bonds.T
    lengths = np.linalg.norm(data["R"][:, first] - data["R"][:, second], axis=-1)
    distorted = data["origin"] == "distorted"
    ratios = lengths[distorted] / np.median(lengths[~distorted], axis=0)
    assert (ratios.min(axis=0) < 0.89).all()
    assert (ratios.max(axis=0) > 1.11).all()


def test_hot_frames_go_further_than_those_they_are_learned_beside(hot_set):
    name, data = hot_set
    usual = contents(name.removesuffix("-hot"))
    assert json.loads(str(data["meta"]))["level_of_theory"] == json.loads(str(usual["meta"]))["level_of_theory"]
    excess = [np.mean(one["E"][one["origin"] == "md"]) - usual["E"].min() for one in (data, usual)]
    assert excess[0] > 1.5 * excess[1]
    assert np.abs(data["F"]).mean() > 1.2 * np.abs(usual["F"]).mean()


@pytest.mark.parametrize("name", [name for name in NAMES + HOT if not name.startswith("ethanol")])
def test_bundled_gfn2_labels_are_computed_again(name):
    pytest.importorskip("tblite", reason="needs the extra 'labels'")
    data = np.load(bundled("data") / f"{name}.npz")
    for i in np.linspace(0, len(data["E"]) - 1, 4).astype(int):
        atoms = Atoms(data["z"], data["R"][i].astype(float), calculator=methods.gfn2())
        assert atoms.get_potential_energy() == pytest.approx(data["E"][i], abs=1e-5)
        assert np.abs(atoms.get_forces() - data["F"][i]).max() < 1e-4


def test_start_structures_are_minima_at_the_level_of_their_set(bundled_set):
    name, data = bundled_set
    start = read(bundled("data") / f"{name}.xyz")
    assert (start.numbers == data["z"]).all()
    assert np.abs(start.get_forces()).max() < 5e-3
    assert start.get_potential_energy() < data["E"].min()


def test_ethanol_covers_trans_and_both_gauche_wells():
    data = np.load(bundled("data") / "ethanol.npz")
    angles = observables.dihedral_degrees(data["R"].astype(float), (0, 1, 2, 8))
    wells = [np.mean(np.cos(np.radians(angles - centre)) > np.cos(np.radians(40))) for centre in (60, 180, -60)]
    assert min(wells) > 0.05


def test_alanine_dipeptide_covers_the_ramachandran_map():
    data = np.load(bundled("data") / "ala2.npz")
    phi, psi = (observables.dihedral_degrees(data["R"].astype(float), atoms) for atoms in reference_sets.backbone(0))
    counts = np.histogram2d(phi, psi, bins=12, range=[[-180, 180]] * 2)[0]
    assert (counts > 0).mean() > 0.8
    c7ax = (abs(phi - 72) < 40) & (abs(psi + 62) < 40)
    assert c7ax.sum() > 100
    assert (data["origin"] == "cis").sum() > 50


def test_dihedrals_have_the_sign_of_ase():
    atoms = Atoms("H4", np.random.default_rng(0).normal(size=(4, 3)))
    ours = observables.dihedral_degrees(atoms.positions[None], (0, 1, 2, 3))[0]
    assert ours % 360 == pytest.approx(atoms.get_dihedral(0, 1, 2, 3))


@pytest.mark.process
def test_a_recipe_gives_the_same_set_again_and_continues_unfinished_work(tmp_path, monkeypatch):
    pytest.importorskip("tblite", reason="needs the extra 'labels'")
    runs = [sampling.Run("md", seed, 20, 500.0, 10.0, 20.0) for seed in (1, 2)]
    short = reference_sets.RECIPES["ethanol"]._replace(level="gfn2", runs=lambda: runs)
    monkeypatch.setitem(reference_sets.RECIPES, "ethanol", short)
    list(reference_sets.make("ethanol", tmp_path / "a", tmp_path / "work_a", 1))
    (tmp_path / "work_a" / "ethanol_run001.npz").unlink()  # as if killed during the second run
    (tmp_path / "work_a" / "ethanol_labels.jsonl").unlink()
    list(reference_sets.make("ethanol", tmp_path / "b", tmp_path / "work_a", 1))
    one, two = (np.load(tmp_path / folder / "ethanol.npz") for folder in "ab")
    assert len(one["E"]) == 41
    different = [key for key in ("z", "R", "E", "F", "origin", "trajectory") if not np.array_equal(one[key], two[key])]
    assert different == []
    assert set(json.loads((tmp_path / "a" / "checksums.json").read_text())) == {"ethanol.npz", "ethanol.xyz"}
