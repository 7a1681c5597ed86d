"""Networks of mlff and so3krates-torch give the same numbers as there."""

import json
import pickle
import shutil
from pathlib import Path

import mlff_reference
import numpy as np
import pytest
import torch_files
from small_checkpoint import (
    MODEL,
    nested,
    port_attributes,
    same_tensors,
    settings_and_parameters,
)

from so3lab.network.settings import ModelSettings
from so3lab.potential.model_file import flat_parameters
from so3lab.pretrained import conversion, convert, load_so3lr, names
from so3lab.pretrained.arrays import arrays_from_pickle, flat_tree
from so3lab.pretrained.mlff import settings_from_mlff

PUBLISHED_ELEMENTS = (1, 6, 7, 8, 9, 15, 16, 17)


@pytest.fixture(scope="module")
def small() -> tuple[ModelSettings, dict[str, np.ndarray]]:
    """Settings and mlff's parameters of the small network."""
    return settings_and_parameters()


# Numbers of mlff itself ----------------------------------------------------------------------------------------------


def check_against_mlff(folder: Path, file: str, case: str) -> None:
    """Energies within 1e-6 eV per atom and forces within 1e-5 eV/Å of those stored."""
    potential = convert(folder, dtype="float64", energy_unit="eV")
    if potential.settings.electrostatics != "none":
        potential = potential.with_electrostatics("compat", potential.settings.long_range_cutoff)
    molecules = mlff_reference.molecules(file, case)
    for name in mlff_reference.INCONSISTENT.get(case, ()):
        del molecules[name]
    for result, atoms in zip(potential.predict(list(molecules.values())), molecules.values(), strict=True):
        assert abs(result.energy - atoms.info["energy"]) < 1e-6 * len(atoms)
        np.testing.assert_allclose(result.forces, atoms.info["forces"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", mlff_reference.CASES)
def test_networks_of_mlff_v1_give_their_numbers(shared, tmp_path, case):
    file = mlff_reference.CASES[case]
    parameters, options = mlff_reference.parameters(file, case), mlff_reference.hyperparameters(file, case)
    check_against_mlff(mlff_reference.write(tmp_path, parameters, options), file, case)


@pytest.mark.parametrize("case", ["base", "full"])
def test_networks_of_mlff_v03_give_their_numbers(shared, tmp_path, case):
    file = mlff_reference.V03
    options = mlff_reference.hyperparameters_v03(case)
    folder = mlff_reference.write(tmp_path, mlff_reference.parameters(file, case), options)
    check_against_mlff(folder, file, case)


def test_units_of_energies_of_mlff_v03_must_be_said(shared, tmp_path):
    options = mlff_reference.hyperparameters_v03("base")
    folder = mlff_reference.write(tmp_path, mlff_reference.parameters(mlff_reference.V03, "base"), options)
    with pytest.raises(ValueError, match=r"energy_unit must be given .* kcal/mol"):
        convert(folder)
    in_kcal = flat_parameters(convert(folder, energy_unit="kcal/mol").parameters)["energy.final.kernel"]
    in_eV = flat_parameters(convert(folder, energy_unit="eV").parameters)["energy.final.kernel"]
    np.testing.assert_allclose(in_kcal, 0.0433641 * in_eV, rtol=1e-5)


def test_options_of_v03_that_we_lack_are_refused_by_name(shared, tmp_path):
    options = mlff_reference.hyperparameters_v03("base")
    for layer in options["stack_net"]["layers"]:
        layer["so3krates_layer"]["chi_cut"] = 2.5
    folder = mlff_reference.write(tmp_path, mlff_reference.parameters(mlff_reference.V03, "base"), options)
    with pytest.raises(ValueError, match=r"layers use chi_cut = 2.5, which so3lab does not have"):
        convert(folder, energy_unit="eV")


# The published SO3LR -------------------------------------------------------------------------------------------------


def test_the_authors_files_are_recognised(shared):
    potential = load_so3lr(shared / "reference" / "so3lr")
    assert potential.elements == PUBLISHED_ELEMENTS
    assert potential.shift_of(so3lab_water()) == 0.0
    assert not potential.settings.spin_trained
    assert potential.metadata["licence"] == "MIT"
    assert "33723" in potential.metadata["citation"]
    changed = load_so3lr(shared / "reference" / "so3lr", "float64", "wolf", 12.0)
    assert (changed.dtype, changed.settings.electrostatics, changed.settings.long_range_cutoff) == (
        "float64",
        "wolf",
        12.0,
    )
    assert same_tensors(potential, changed.astype("float32"))


def so3lab_water():
    from ase.build import molecule

    return molecule("H2O")


@pytest.mark.parametrize("what", ["parameter", "cutoff", "cut off"])
def test_altered_files_are_not_so3lr(shared, tmp_path, what):
    for name in ("params.pkl", "hyperparameters.json"):
        shutil.copyfile(shared / "reference" / "so3lr" / name, tmp_path / name)
    if what == "parameter":
        tree = pickle.loads((tmp_path / "params.pkl").read_bytes())
        tree["params"]["layers_1"]["attention_block"]["Wq1"][0, 0, 0] += 1e-3
        (tmp_path / "params.pkl").write_bytes(pickle.dumps(tree))
    elif what == "cutoff":
        options = json.loads((tmp_path / "hyperparameters.json").read_text())
        options["model"]["cutoff"] = 5.0
        (tmp_path / "hyperparameters.json").write_text(json.dumps(options))
    else:
        data = (tmp_path / "params.pkl").read_bytes()
        (tmp_path / "params.pkl").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"altered|truncated"):
        load_so3lr(tmp_path)


def test_a_folder_without_so3lr_says_what_it_should_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"params.pkl and hyperparameters.json, so3krates_torch-0.2.1"):
        load_so3lr(tmp_path)
    with pytest.raises(ValueError, match="'exact', 'wolf' or 'compat', got 'none'"):
        load_so3lr(tmp_path, electrostatics="none")


# Names and options ---------------------------------------------------------------------------------------------------


def test_the_port_and_mlff_give_the_same_network(small):
    settings, parameters = small
    tensors = torch_files.torch_parameters(settings, parameters)
    port = conversion.potential_from_torch(torch_files.torch_file(port_attributes(), tensors), "x")
    assert port.settings == settings
    ours = names.from_mlff(settings, parameters)
    assert set(ours) == set(flat_parameters(port.parameters))
    for name, value in flat_parameters(port.parameters).items():
        np.testing.assert_array_equal(value, ours[name], err_msg=name)


def test_element_tables_are_padded_with_zeros(small):
    ours = names.from_mlff(*small)
    assert ours["hirshfeld.element_query"].shape == (119, 4)
    assert not ours["hirshfeld.element_query"][100:].any()
    assert not ours["element.embedding"][0].any()
    assert ours["element.embedding"][1:].all()
    assert ours["partial_charges.element_bias"].shape == (119,)


def test_missing_and_unexplained_parameters_are_refused(small):
    settings, parameters = small
    without = {name: array for name, array in parameters.items() if not name.endswith("Wq1")}
    with pytest.raises(ValueError, match="lack layers_0/attention_block/Wq1"):
        names.from_mlff(settings, without)
    with pytest.raises(ValueError, match="hold layers_0/rms_norm/scale"):
        names.from_mlff(settings, parameters | {"layers_0/rms_norm/scale": np.ones(8, "f4")})


def test_copies_for_several_levels_of_theory_are_one(small):
    settings, parameters = small
    levels = dict(parameters)
    for name in ("energy_dense_final/kernel", "energy_dense_final/bias", "atomic_scales", "energy_offset"):
        array = parameters[f"observables_0/{name}"]
        array = array if name.startswith("energy_dense") else array[:, None]
        levels[f"observables_0/{name}"] = np.repeat(array, 16, axis=-1)
    one, several = names.from_mlff(settings, parameters), names.from_mlff(settings, levels)
    assert all(np.array_equal(one[name], several[name]) for name in one)
    levels["observables_0/energy_dense_final/kernel"][0, 3] += 1
    with pytest.raises(ValueError, match="16 different levels of theory"):
        names.from_mlff(settings, levels)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"radial_basis_fn": "gaussian"}, "radial_basis_fn must be one of"),
        ({"cutoff_fn": "polynomial"}, "cutoff_fn must be one of"),
        ({"activation_fn": "tanh"}, "activation_fn must be 'silu'"),
        ({"message_normalization": "softmax"}, "message_normalization must be one of"),
        ({"kspace_electrostatics": "pme"}, "kspace_electrostatics = 'pme', which so3lab does not have"),
        ({"use_residual_scalars": True}, "use_residual_scalars"),
        ({"energy_activation_fn": "identity"}, "energy_activation_fn = 'silu'"),
        ({"degrees": [1, 5]}, "degrees"),
        ({"num_layers": None, "num_heads": 0}, "num_heads"),
    ],
)
def test_options_that_we_lack_are_refused_by_name(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        settings_from_mlff({"model": MODEL | change, "data": {"avg_num_neighbors": 5.5}})


def test_the_mean_number_of_neighbours_is_not_guessed():
    with pytest.raises(ValueError, match="no avg_num_neighbors"):
        settings_from_mlff({"model": MODEL, "data": {}})
    with pytest.raises(ValueError, match="no section 'model'"):
        settings_from_mlff({"stack": {}})


@pytest.mark.parametrize(
    ("attributes", "classes", "sentence"),
    [
        ({"trainable_rbf": True}, {}, "trainable_rbf must be False"),
        ({"use_pme": True}, {}, "use_pme = True"),
        ({"radial_basis_fn": "gaussian"}, {}, "radial_basis_fn"),
        ({}, {"": "so3krates_torch.modules.models.MultiHeadSO3LR"}, "MultiHeadSO3LR"),
        (
            {},
            {"euclidean_transformers.0": "so3krates_torch.tools.LoraTransformer"},
            "LoraTransformer at euclid",
        ),
    ],
)
def test_additions_of_the_port_are_refused_by_name(small, attributes, classes, sentence):
    data = torch_files.torch_file(port_attributes(**attributes), torch_files.torch_parameters(*small), classes)
    with pytest.raises(ValueError, match=sentence):
        conversion.potential_from_torch(data, "x")


def test_elements_are_those_whose_scale_was_learned(small):
    settings, parameters = small
    scales = np.ones(119, "f4")
    scales[[1, 8]] = 0.7
    scales[0] = 3.0
    ours = names.from_mlff(settings, parameters | {"observables_0/atomic_scales": scales})
    assert conversion.trained_elements(ours) == [1, 8]


def test_paths_below_params(small):
    _, parameters = small
    found = arrays_from_pickle(pickle.dumps(nested(parameters)))
    assert set(found) == {f"params/{name}" for name in parameters}
    assert set(flat_tree(nested(parameters))) == set(found)
