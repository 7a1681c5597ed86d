"""Random networks that were run in mlff itself, with their energies and forces, as files such as mlff writes."""

import json
import pickle
from pathlib import Path
from typing import Any

import ase
import numpy as np

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
FOLDER = SHARED / "reference" / "mlff"
CASES = {
    "base": "mlff_v1_random_thorben.npz",
    "full": "mlff_v1_random_thorben.npz",
    "expo": "mlff_v1_random_thorben.npz",
    "physics": "mlff_v1_random_kab.npz",
    "zbl": "mlff_v1_random_kab.npz",
}
"""Networks of mlff v1.0 and the files that hold them."""
V03 = "mlff_v03_random.npz"
INCONSISTENT = {"full": ("ethanol",), "physics": ("ethanol",)}
"""Stored results that do not follow from their stored inputs: the first layer's attention weights between hydrogens
at one distance must be equal in both directions, and differ by 3e-5 (of 1e-4). All intermediates of the other two
molecules of the same network agree with the formulas to 1e-19."""


def parameters(file: str, case: str) -> dict[str, Any]:
    """Nested dictionary of a stored network's parameters, as mlff has it."""
    tree: dict[str, Any] = {}
    stored = np.load(FOLDER / file)
    for name in stored.files:
        if name.startswith(f"{case}/params/"):
            *parts, last = name.removeprefix(f"{case}/params/").split("/")
            inner = tree
            for part in parts:
                inner = inner.setdefault(part, {})
            inner[last] = stored[name]
    return tree


def options(file: str, case: str) -> dict[str, Any]:
    """The stored hyperparameters of a network."""
    return json.loads(str(np.load(FOLDER / file)["meta"]))["cases"][case]


def hyperparameters(file: str, case: str) -> dict[str, Any]:
    """Content of ``hyperparameters.json`` for a network of mlff v1.0."""
    model = options(file, case)
    return {"model": model, "data": {"avg_num_neighbors": model.pop("avg_num_neighbors")}}


def hyperparameters_v03(case: str) -> dict[str, Any]:
    """The same for mlff v0.3, which describes a stack of modules."""
    stored = options(V03, case)
    features, layer = stored["F"], dict(stored["so3krates_layer_kwargs"])
    geometry = stored["geometry_embed_kwargs"] | {
        "radial_basis_function": "phys",
        "radial_cutoff_fn": "cosine_cutoff_fn",
        "sphc": True,
        "sphc_normalization": None,
        "solid_harmonic": False,
        "mic": False,
    }
    for block in ("fb", "gb"):
        layer |= {
            f"{block}_filter": "radial_spherical",
            f"{block}_attention": "conv_att",
            f"{block}_rad_filter_features": [features, features],
            f"{block}_sph_filter_features": [features // 4, features],
        }
    energy = {"per_atom_scale": None, "per_atom_shift": None, "output_convention": "per_structure"}
    stack = {
        "geometry_embeddings": [{"geometry_embed": geometry}],
        "feature_embeddings": [{"atom_type_embed": {"num_embeddings": 100, "features": features}}],
        "layers": [{"so3krates_layer": layer}] * stored["n_layer"],
        "observables": [{"energy": energy}],
    }
    return {"stack_net": stack}


def write(folder: Path, parameters: dict[str, Any], hyperparameters: dict[str, Any]) -> Path:
    """A checkpoint folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.pkl").write_bytes(pickle.dumps(parameters))
    (folder / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return folder


def molecules(file: str, case: str) -> dict[str, ase.Atoms]:
    """The stored molecules with reference energy and forces in ``info``."""
    stored = np.load(FOLDER / file)
    found = {}
    for name in ("ethanol", "nh4plus", "formate", "ch4"):
        key = f"{case}/{name}"
        if f"{key}/energy" in stored:
            atoms = ase.Atoms(stored[f"{key}/numbers"], stored[f"{key}/positions"])
            for theirs, ours in (("total_charge", "charge"), ("num_unpaired_electrons", "unpaired_electrons")):
                atoms.info[ours] = float(stored[f"{key}/{theirs}"]) if f"{key}/{theirs}" in stored else 0.0
            atoms.info |= {"energy": float(stored[f"{key}/energy"]), "forces": stored[f"{key}/forces"]}
            found[name] = atoms
    return found
