"""Models with electrostatics and dispersion as a whole: exact gradients, batches, files, simulations."""

import functools
import json
from functools import partial

import ase
import jax
import numpy as np
import pytest
import safetensors.numpy
import so3lr_reference
from ase.build import molecule
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from so3lab import observables
from so3lab.dynamics import Limits, run
from so3lab.engine.energy_model import energy_and_forces, precision
from so3lab.network.pairwise import long_range
from so3lab.network.pairwise.long_range import long_range_needs, long_range_pairs, with_long_range
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["molecule", "crystal"])
def test_forces_and_stress_are_exact_gradients(mode, kind):
    atoms = molecule("CH3OH") if kind == "molecule" else crystal()
    atoms.calc = random_potential(mode, MODES[mode]).calculator()
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 1e-3
    np.testing.assert_allclose(forces[:2], calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 1]), atol=2e-6)
    if kind == "crystal":
        np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-4), atol=1e-8)


def test_large_cells_take_the_mesh_and_give_the_same(monkeypatch):
    potential = random_potential()
    atoms = crystal().repeat((3, 2, 2))
    direct = potential(atoms)
    monkeypatch.setattr(long_range, "MESH_FROM", 0)
    mesh = potential(atoms)
    assert direct.graph.long_range.mesh is None
    assert mesh.graph.long_range.waves is None
    np.testing.assert_allclose(mesh.forces, direct.forces, atol=1e-5)
    np.testing.assert_allclose(mesh.stress, direct.stress, atol=1e-6)
    assert mesh.energy == pytest.approx(direct.energy, abs=1e-5)
    both = potential.predict([atoms, molecule("H2O")])  # one mesh is one structure's: not a batch then
    assert both[0].energy == pytest.approx(mesh.energy, abs=1e-9)


@pytest.mark.parametrize("mode", ["exact", "compat"])
def test_others_in_a_batch_change_nothing(mode):
    potential = random_potential(mode)
    structures = [molecule("CH3OH"), crystal(), molecule("H2O"), crystal().repeat((2, 1, 1)), ase.Atoms("O")]
    structures[2].info["charge"] = -1.0
    together = potential.predict(structures)
    for atoms, result in zip(structures, together, strict=True):
        alone = potential(atoms)
        assert result.energy == pytest.approx(alone.energy, abs=1e-9)
        np.testing.assert_allclose(result.forces, alone.forces, atol=1e-9)
        np.testing.assert_allclose(result.partial_charges, alone.partial_charges, atol=1e-12)
        assert result.partial_charges.sum() == pytest.approx(atoms.info.get("charge", 0.0), abs=1e-12)
        assert result.energy_terms == pytest.approx(alone.energy_terms, abs=1e-9)
        assert sum(result.energy_terms.values()) == pytest.approx(result.energy, abs=1e-9)
        if alone.stress is not None:
            np.testing.assert_allclose(result.stress, alone.stress, atol=1e-9)


def test_repeated_neutral_cell_has_the_same_energy_per_cell():
    one = crystal()
    one.info["charge"] = 0.0
    two, potential = one.repeat((1, 2, 1)), random_potential()
    assert potential(two).energy == pytest.approx(2 * potential(one).energy, abs=1e-6)
    np.testing.assert_allclose(potential(two).stress, potential(one).stress, atol=1e-7)


def test_padding_of_far_pairs_changes_nothing():
    atoms = crystal()
    for mode, cutoff in MODES.items():
        potential = random_potential(mode, cutoff)
        plain, needs = potential(atoms), long_range_needs(potential.settings)
        graph = build_graph([atoms], potential.settings.cutoff, dtype="float64")
        graph = with_long_range(graph, [atoms], needs, len(plain.graph.long_range.mask) + 100)
        with precision("float64"):
            padded = jax.jit(partial(energy_and_forces, potential.energy_model.energy))(potential.parameters, graph)
        assert padded.energies[0] == pytest.approx(plain.energy - potential.shift_of(atoms), abs=1e-10)
        np.testing.assert_allclose(padded.forces, plain.forces, atol=1e-10)


def test_file_keeps_long_range_terms_and_old_files_load(tmp_path):
    atoms = molecule("CH3OH")
    made = random_potential("wolf", 9.0)
    read = Potential.load(made.save(tmp_path / "m.so3.safetensors"), "float64")
    assert read.settings == made.settings
    assert read(atoms).energy == pytest.approx(made(atoms).energy, abs=1e-12)
    # a file written before these terms existed lacks their settings
    short = Potential.initial(ModelSettings(num_features=8, num_heads=2, degrees=(1, 2)), dtype="float64")
    path = short.save(tmp_path / "new.so3.safetensors")
    with safetensors.safe_open(path, framework="np") as file:
        about = json.loads(file.metadata()["so3lab"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in ("electrostatics", "screening_length", "dispersion", "dispersion_scale", "long_range_cutoff"):
        del about["settings"][name]
    del about["settings"]["dispersion_damping"], about["settings"]["spin_trained"]
    safetensors.numpy.save_file(tensors, tmp_path / "old.so3.safetensors", {"so3lab": json.dumps(about)})
    old = Potential.load(tmp_path / "old.so3.safetensors", "float64")
    assert old(atoms).energy == short(atoms).energy
    assert old(atoms).partial_charges is None
    assert set(old(atoms).energy_terms) == {"learned", "repulsion"}


def test_modes_share_their_weights():
    atoms, exact = molecule("CH3OH"), random_potential()
    wolf = exact.with_electrostatics("wolf", 4.0)
    assert wolf.parameters is exact.parameters
    np.testing.assert_allclose(wolf(atoms).partial_charges, exact(atoms).partial_charges, atol=1e-13)
    assert abs(wolf(atoms).energy - exact(atoms).energy) > 1e-6
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
@pytest.mark.parametrize("kind", ["molecule", "crystal"])
def test_simulations_see_the_forces_of_the_calculator(mode, kind):
    """Far pairs come and go as atoms move; a short cutoff makes it happen within few steps."""
    potential = random_potential(mode, 5.0)
    atoms = molecule("CH3CH2OCH3") if kind == "molecule" else crystal().repeat((2, 1, 1))
    atoms.info["charge"] = 0.0
    frames = list(
        run(
            potential,
            atoms,
            steps=60,
            interval=30,
            temperature_K=1000,
            timestep_fs=1.0,
            seed=3,
            limits=Limits(None, None, None),
        )
    )
    needs = long_range_needs(potential.settings)
    counts = set()
    for chunk in frames:
        for k in range(len(chunk.step)):
            now = atoms.copy()
            now.positions = chunk.positions[k]
            counts.add(len(long_range_pairs(now, needs).receivers))
            result = potential(now)
            assert chunk.potential_energy[k] == pytest.approx(result.energy, abs=1e-6)
            np.testing.assert_allclose(chunk.forces[k], result.forces, atol=1e-6)
    assert len(counts) > 1 or (mode, kind) == ("exact", "molecule")


def small_water_cell() -> ase.Atoms:
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
    atoms = molecule("CH3OH") if kind == "molecule" else small_water_cell()
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
