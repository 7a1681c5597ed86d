"""The network equals the reference code with its published weights, layer by layer."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import so3lr_reference
from differences import central_forces
from flax import nnx

from so3lab.engine.energy_model import energy_and_forces
from so3lab.network.settings import ModelSettings, preset
from so3lab.network.so3krates import NetworkOutput
from so3lab.potential import Potential
from so3lab.structures.graph import Graph, build_graph

CASES = ("H2O", "NH3", "CH4", "ethanol", "nh4plus", "acetate", "dha")


class Published(NamedTuple):
    """The published weights on the stored molecules, all in one graph."""

    stored: dict[str, Mapping[str, np.ndarray]]  # by name
    graph: Graph
    output: NetworkOutput
    first: dict[str, int]  # atom of each molecule

    def atoms(self, name: str) -> slice:
        return slice(self.first[name], self.first[name] + len(self.stored[name]["numbers"]))


@pytest.fixture(scope="module")
def published(shared) -> Published:
    stored = {name: np.load(so3lr_reference.FOLDER / f"so3lr_{name}_f64.npz") for name in CASES}
    molecules = [ase.Atoms(one["numbers"], one["positions"]) for one in stored.values()]
    for atoms, one in zip(molecules, stored.values(), strict=True):
        atoms.info["charge"] = float(one["total_charge"])
    graph = build_graph(molecules, 4.5, dtype="float64")
    with jax.enable_x64(True):
        definition, state = nnx.split(so3lr_reference.load())
        state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), state)
        output = jax.jit(lambda state, graph: nnx.merge(definition, state)(graph))(state, graph)
    starts = np.cumsum([0, *map(len, molecules)])[:-1]
    return Published(stored, graph, output, dict(zip(CASES, starts.tolist(), strict=True)))


@pytest.mark.parametrize("name", CASES)
def test_energy_equals_the_published_model(published, name):
    stored = published.stored[name]
    expected = float(stored["E_learned"] + stored["E_zbl"])
    found = float(published.output.energies[CASES.index(name)])
    assert abs(found - expected) < 1e-7 * len(stored["numbers"])


@pytest.mark.parametrize("name", CASES)
def test_features_and_euclidean_variables_equal_the_published_model(published, name):
    stored, own = published.stored[name], published.atoms(name)
    np.testing.assert_allclose(published.output.features[own], stored["x_layer2"], atol=2e-6)
    # the reference does not use the last layer's Euclidean variables, but stores them
    np.testing.assert_allclose(published.output.euclidean_variables[own], stored["ev_layer2"], atol=2e-5)


@pytest.mark.parametrize("name", ["ethanol", "nh4plus", "dha"])
def test_attention_weights_equal_the_published_model(published, name):
    stored, graph, attention = published.stored[name], published.graph, published.output.attention
    own = graph.pair_mask & (graph.structure_index[graph.receivers] == CASES.index(name))
    i, j = (index[own] - published.first[name] for index in (graph.receivers, graph.senders))
    place = {pair: k for k, pair in enumerate(zip(stored["idx_i"].tolist(), stored["idx_j"].tolist(), strict=True))}
    forward = [place[pair] for pair in zip(i.tolist(), j.tolist(), strict=True)]
    backward = [place[pair] for pair in zip(j.tolist(), i.tolist(), strict=True)]
    assert len(forward) > 5
    for layer in range(3):
        for ours, number in ((attention.features, 1), (attention.euclidean, 2)):
            expected = stored[f"layer{layer}_alpha{number}_ij"]
            np.testing.assert_allclose(ours[layer, 0][own], expected[forward], atol=1e-6)
            np.testing.assert_allclose(ours[layer, 1][own], expected[backward], atol=1e-6)


def variant(**changes) -> ModelSettings:
    return preset("tiny", mean_neighbors=5.0, **changes)


VARIANTS = {
    "default": variant(),
    "no repulsion, cosine, physnet, root of width, no MLPs, silu on queries and keys": variant(
        repulsion=False, cutoff_function="cosine", radial_basis="physnet", normalization="sqrt_width",
        residual_mlp=(False, False), qk_activation="silu",
    ),
    "exponential, bessel, none, no hidden energy layer, charges and spins": variant(
        cutoff_function="exponential", radial_basis="bessel", normalization="none", energy_hidden=None,
        charge_embedding=True, spin_embedding=True, learn_atomic_scales=False,
    ),
    "polynomial, norms, both MLPs, two even degrees": variant(
        cutoff_function="polynomial", layer_normalization=(True, True), residual_mlp=(True, True), degrees=(2, 4)
    ),
    "layers of v0.3": variant(layer_form="v0.3", layer_normalization=(True, True), residual_mlp=(True, True)),
}  # fmt: skip
_, BARE, CHARGES, _, _ = VARIANTS.values()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_option_gives_exact_forces(name, ethanol):
    """Forces equal central differences of the energy for every option."""
    potential = Potential.initial(VARIANTS[name], seed=1, dtype="float64")
    ethanol.info["charge"], ethanol.info["multiplicity"] = 1.0, 2
    result = potential(ethanol)
    assert np.isfinite(result.forces).all()
    assert np.abs(result.forces).max() > 1e-4
    for component, force in central_forces(lambda moved: potential(moved).energy, ethanol):
        assert result.forces[component] == pytest.approx(force, abs=2e-7)


def test_charge_changes_the_energy_only_with_the_charge_embedding(ethanol):
    charged = ethanol.copy()
    charged.info["charge"] = -2.0
    blind, seeing = (Potential.initial(settings, dtype="float64") for settings in (variant(), CHARGES))
    assert blind(ethanol).energy == blind(charged).energy
    assert abs(seeing(ethanol).energy - seeing(charged).energy) > 1e-6


def begun(**choices: bool) -> Potential:
    """With weights of other beginnings."""
    return replace(Potential.initial(replace(BARE, **choices), dtype="float64"), settings=BARE)


def test_options_to_start_from_nothing(ethanol):
    assert np.abs(begun(zero_energy_at_init=True)(ethanol).forces).max() == 0.0
    same_element = begun(identity_at_init=True)(ethanol).atomic_energies[ethanol.numbers == 1]
    np.testing.assert_allclose(same_element, same_element[0], rtol=1e-12)


def test_energy_and_gradient_are_smooth_across_the_cutoff():
    """Two atoms pulled apart: no jump in energy or force where they lose sight of each other."""
    potential = Potential.initial(variant(), seed=2, dtype="float64")
    cutoff = potential.settings.cutoff
    found = [potential(ase.Atoms("CO", [[0, 0, 0], [0, 0, cutoff + d]])) for d in (-2e-4, -1e-4, 1e-4, 2e-4)]
    energies = [result.energy for result in found]
    assert max(abs(a - b) for a, b in itertools.pairwise(energies)) < 1e-9
    assert np.abs(found[1].forces).max() < 1e-6
    assert np.abs(found[2].forces).max() == 0.0


def test_attention_costs_nothing_when_nobody_asks(ethanol):
    """The compiled program without attention has no output of its size."""
    potential = Potential.initial(variant(), dtype="float32")
    graph = build_graph([ethanol], potential.settings.cutoff)
    energy = potential.energy_model.energy
    text = jax.jit(lambda p, g: energy_and_forces(energy, p, g)[:2]).lower(potential.parameters, graph).as_text()
    assert f"tensor<2x2x{graph.receivers.shape[0]}x" not in text.split("return")[-1]


def test_settings_refuse_what_cannot_work():
    with pytest.raises(ValueError, match=r"num_features must be a multiple of num_heads \(5\), got 64; try 65"):
        ModelSettings(num_heads=5)
    with pytest.raises(ValueError, match=r"cutoff .* must be positive, got -1"):
        ModelSettings(cutoff=-1.0)
    with pytest.raises(ValueError, match="radial_basis must be one of"):
        ModelSettings(radial_basis="wavelets")
    with pytest.raises(ValueError, match=r"preset must be one of .* got 'huge'"):
        preset("huge")
    with pytest.raises(ValueError, match=r"unknown fields \['depth'\]"):
        ModelSettings.from_dict({"depth": 3})


def test_settings_survive_json():
    import json

    for settings in VARIANTS.values():
        assert ModelSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
