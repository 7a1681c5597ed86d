"""Models with electrostatics and dispersion as a whole: exact gradients, batches, files, simulations."""

import functools
import json

import ase
import jax
import numpy as np
import pytest
import safetensors.numpy
import so3lr_reference
from ase.build import molecule

from so3lab import observables
from so3lab.dynamics import Control, Limits, Simulation, run
from so3lab.engine.energy_model import precision
from so3lab.network.pairwise import long_range
from so3lab.network.pairwise.long_range import long_range_needs, long_range_pairs
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.potential.potential import predict_graph
from so3lab.structures.graph import build_graph

MODES = {"exact": None, "wolf": 7.0, "compat": 7.0}


def settings(mode: str = "exact", cutoff: float | None = None) -> ModelSettings:
    return ModelSettings(
        num_features=8, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=3.0, num_radial=4, energy_hidden=8,
        mean_neighbors=4.0, charge_embedding=True, electrostatics=mode, dispersion=True, long_range_cutoff=cutoff,
    )  # fmt: skip


@functools.cache
def random_potential(mode: str = "exact", cutoff: float | None = None) -> Potential:
    return Potential.initial(settings(mode, cutoff), seed=4, dtype="float64")


def crystal() -> ase.Atoms:
    cell = [[4.4, 0, 0], [0.5, 4.1, 0], [-0.3, 0.4, 4.7]]
    atoms = ase.Atoms("CONHF", scaled_positions=np.random.default_rng(19).uniform(size=(5, 3)), cell=cell, pbc=True)
    atoms.info["charge"] = 1.0
    return atoms


def batch(charge: float = 1.0) -> list[ase.Atoms]:
    """Molecules, an ion, an atom, a cell and the same cell twice: what one program for each mode computes here."""
    cell = crystal()
    cell.info["charge"] = charge
    structures = [molecule("CH3OH"), cell, molecule("H2O"), cell.repeat((2, 1, 1)), ase.Atoms("O")]
    structures[2].info["charge"] = -1.0
    return structures


def moved(atoms: ase.Atoms, atom: int, axis: int, by: float) -> ase.Atoms:
    atoms = atoms.copy()
    atoms.positions[atom, axis] += by
    return atoms


def strained(atoms: ase.Atoms, row: int, column: int, by: float) -> ase.Atoms:
    """With a symmetric strain, which molecules do not have."""
    atoms, strain = atoms.copy(), np.zeros((3, 3))
    strain[row, column] = strain[column, row] = by if row == column else 0.5 * by
    if atoms.pbc.any():
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


@pytest.mark.parametrize("mode", MODES)
def test_forces_and_stress_are_exact_gradients(mode):
    """Of a molecule and a cell, among others, which move and stretch at the same time."""
    potential, step = random_potential(mode, MODES[mode]), 1e-4

    def slopes(change, *what) -> np.ndarray:
        plus, minus = (
            np.array(
                [found.energy for found in potential.predict([change(atoms, *what, sign * step) for atoms in together])]
            )
            for sign in (1, -1)
        )
        return (plus - minus) / (2 * step)

    together = batch()
    found = potential.predict(together)
    assert min(np.abs(found[number].forces).max() for number in (0, 1)) > 1e-3
    for axis in range(3):
        expected = -slopes(moved, 0, axis)
        np.testing.assert_allclose([result.forces[0, axis] for result in found], expected, atol=2e-6)
    for place, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        expected = slopes(strained, row, column)
        for number in (1, 3):
            stress = expected[number] / together[number].cell.volume
            assert found[number].stress[place] == pytest.approx(stress, abs=1e-8)


def test_large_cells_take_the_mesh_and_give_the_same(monkeypatch):
    potential, atoms = random_potential(), crystal()
    direct = potential(atoms)
    monkeypatch.setattr(long_range, "MESH_FROM", 0)
    mesh = potential(atoms)
    assert direct.graph.long_range.mesh is None
    assert mesh.graph.long_range.waves is None
    np.testing.assert_allclose(mesh.forces, direct.forces, atol=1e-5)
    np.testing.assert_allclose(mesh.stress, direct.stress, atol=1e-6)
    assert mesh.energy == pytest.approx(direct.energy, abs=1e-5)
    both = potential.predict([atoms, molecule("CH3OH")])  # one mesh is one structure's: not a batch then
    assert both[0].energy == pytest.approx(mesh.energy, abs=1e-9)


def assert_same(found, expected):
    """Everything that is predicted of a structure."""
    assert found.energy == pytest.approx(expected.energy, abs=1e-9)
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-9)
    np.testing.assert_allclose(found.partial_charges, expected.partial_charges, atol=1e-12)
    assert found.energy_terms == pytest.approx(expected.energy_terms, abs=1e-9)
    if expected.stress is not None:
        np.testing.assert_allclose(found.stress, expected.stress, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_others_in_a_batch_change_nothing(mode):
    potential, structures = random_potential(mode, MODES[mode]), batch()
    together = potential.predict(structures)
    for atoms, result in zip(structures, together, strict=True):
        assert result.partial_charges.sum() == pytest.approx(atoms.info.get("charge", 0.0), abs=1e-12)
        assert sum(result.energy_terms.values()) == pytest.approx(result.energy, abs=1e-9)
    assert_same(together[1], potential(structures[1]))
    if mode == "exact":
        assert_same(together[0], potential(structures[0]))
    for kept in (0, 1):  # every other one stays as it is
        others = [atoms if k % 2 == kept else moved(atoms, 0, 1, 0.05) for k, atoms in enumerate(structures)]
        others[3 - kept].info["charge"] = -1.0 if kept else 0.0
        for k, (result, before) in enumerate(zip(potential.predict(others), together, strict=True)):
            if k % 2 == kept:
                assert_same(result, before)
            elif len(structures[k]) > 1:
                assert abs(result.energy - before.energy) > 1e-6


def test_repeated_neutral_cell_has_the_same_energy_per_cell():
    _, one, _, two, _ = random_potential().predict(batch(charge=0.0))
    assert two.energy == pytest.approx(2 * one.energy, abs=1e-6)
    np.testing.assert_allclose(two.stress, one.stress, atol=1e-7)


@pytest.mark.parametrize("mode", MODES)
def test_padding_of_far_pairs_changes_nothing(mode):
    """Whatever stands in the rows that are none."""
    potential, random = random_potential(mode, MODES[mode]), np.random.default_rng(2)
    graph = potential.predict(batch())[0].graph
    far = graph.long_range
    padding = ~far.mask
    assert padding.sum() > 10
    rows = [np.where(padding, random.integers(0, 9, len(padding)), index) for index in far[:2]]
    images = np.where(padding[:, None], random.integers(-1, 2, far.images.shape), far.images)
    other = far._replace(receivers=rows[0].astype("i4"), senders=rows[1].astype("i4"), images=images.astype("i4"))
    with precision("float64"):
        plain, filled = (
            predict_graph(potential.settings, potential.parameters, graph._replace(long_range=pairs), True, False)
            for pairs in (far, other)
        )
    np.testing.assert_allclose(filled.energies, plain.energies, atol=1e-10)
    np.testing.assert_allclose(filled.forces, plain.forces, atol=1e-10)
    np.testing.assert_allclose(filled.strain_gradient, plain.strain_gradient, atol=1e-10)


def test_file_keeps_long_range_terms_and_old_files_load(tmp_path):
    atoms = molecule("CH3OH")
    made = random_potential("wolf", 7.0)
    read = Potential.load(made.save(tmp_path / "m.so3.safetensors"), "float64")
    assert read.settings == made.settings
    for one, other in zip(read.predict(batch()), made.predict(batch()), strict=True):
        assert one.energy == pytest.approx(other.energy, abs=1e-12)
    # a file written before these terms existed lacks their settings
    short = Potential.initial(ModelSettings(num_features=8, num_layers=1, num_heads=2, degrees=(1, 2)), dtype="float64")
    path = short.save(tmp_path / "new.so3.safetensors")
    with safetensors.safe_open(path, framework="np") as file:
        about = json.loads(file.metadata()["so3lab"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in ("electrostatics", "screening_length", "dispersion", "dispersion_scale", "long_range_cutoff"):
        del about["settings"][name]
    del about["settings"]["dispersion_damping"], about["settings"]["spin_trained"]
    safetensors.numpy.save_file(tensors, tmp_path / "old.so3.safetensors", {"so3lab": json.dumps(about)})
    old = Potential.load(tmp_path / "old.so3.safetensors", "float64")(atoms)
    assert old.energy == short(atoms).energy
    assert old.partial_charges is None
    assert set(old.energy_terms) == {"learned", "repulsion"}


def test_modes_share_their_weights():
    exact = random_potential()
    wolf = exact.with_electrostatics("wolf", 7.0)
    assert wolf.parameters is exact.parameters
    structures = batch()
    for atoms, one, other in zip(structures, wolf.predict(structures), exact.predict(structures), strict=True):
        np.testing.assert_allclose(one.partial_charges, other.partial_charges, atol=1e-13)
        assert abs(one.energy - other.energy) > 1e-6 or not atoms.pbc.any()  # molecules may end before the cutoff
    with pytest.raises(ValueError, match="mode must be 'exact', 'wolf' or 'compat'"):
        exact.with_electrostatics("none")


def test_a_graph_without_far_pairs_is_refused():
    potential = random_potential()
    graph = build_graph([molecule("H2O")], 3.0, dtype="float64")
    with pytest.raises(ValueError, match="the graph holds no far pairs"), precision("float64"):
        jax.eval_shape(potential.energy_model.energy, potential.parameters, graph)


def test_settings_refuse_impossible_long_range_terms():
    for changes, sentence in (
        ({"electrostatics": "ewald"}, "electrostatics must be one of"),
        ({"screening_length": 0.0}, "screening_length must be positive"),
        ({"dispersion": True, "long_range_cutoff": 1.5}, r"long_range_cutoff \(Å\) must be larger than 2"),
        ({"long_range_cutoff": -1.0}, r"long_range_cutoff \(Å\) must be larger than 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            ModelSettings(**changes)


@pytest.mark.parametrize("mode", ["exact", "wolf"])
def test_simulations_see_the_forces_of_the_potential(mode):
    """Far pairs come and go as atoms move; a short cutoff makes it happen within few steps."""
    potential, control = random_potential(mode, 5.0), Control(1000.0, timestep_fs=1.0)
    needs, frames, energies, forces = long_range_needs(potential.settings), [], [], []
    molecules = [molecule("CH3CH2OCH3")] if mode == "wolf" else []  # else all their pairs are far ones, always
    for start in (*molecules, crystal().repeat((2, 1, 1))):
        start.info["charge"], counts = 0.0, set()
        chunk = Simulation(potential, start, control=control, seed=3, limits=Limits(None, None, None)).advance(3, 20)
        for positions in chunk.positions:
            frames.append(start.copy())
            frames[-1].positions = positions
            counts.add(len(long_range_pairs(frames[-1], needs).receivers))
        assert len(counts) > 1
        energies += list(chunk.potential_energy)
        forces += list(chunk.forces)
    for result, energy, forces_then in zip(potential.predict(frames), energies, forces, strict=True):
        assert energy == pytest.approx(result.energy, abs=1e-6)
        np.testing.assert_allclose(forces_then, result.forces, atol=1e-6)


def smtogetherwater_cell() -> ase.Atoms:
    """Four water molecules at the density of the liquid, turned at random."""
    random, edge = np.random.default_rng(8), 4.93
    box = ase.Atoms(cell=[edge] * 3, pbc=True)
    for corner in ((0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)):
        one = molecule("H2O")
        one.rotate(random.uniform(0, 360), random.normal(size=3), center="COM")
        one.translate(edge * np.array(corner))
        box += one
    return box


@pytest.mark.parametrize("kind", ["molecule", "water"])
def test_energy_is_conserved_with_published_weights(shared, kind):
    from so3lab.pretrained import load_so3lr

    potential = load_so3lr(so3lr_reference.FOLDER, "float64")
    atoms = molecule("CH3OH") if kind == "molecule" else smtogetherwater_cell()
    chunks = list(run(potential, atoms, steps=200, interval=5, ensemble="nve", temperature_K=300, timestep_fs=0.25))
    time_fs, total, kinetic = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("time_fs", "total_energy", "kinetic_energy")
    )
    assert np.ptp(kinetic) > 0.05
    assert np.ptp(total) < 0.02 * np.ptp(kinetic)
    assert abs(observables.energy_drift(time_fs, total)) < 0.01 * kinetic.mean()


def test_an_empty_box_around_a_molecule_is_refused_with_the_way_out():
    atoms = molecule("CH3OH")
    atoms.cell, atoms.pbc = [999.9] * 3, True
    with pytest.raises(ValueError, match=r"atoms.cell .* 999.9 x 999.9 x 999.9 Å .* set atoms.pbc = False"):
        random_potential()(atoms)
