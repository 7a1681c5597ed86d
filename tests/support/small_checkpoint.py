"""A small network with every term of SO3LR, as the checkpoints of mlff and so3krates-torch hold one."""

import numpy as np

from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.pretrained import names
from so3lab.pretrained.mlff import settings_from_mlff

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
    """Parameters by path as the tree that mlff keeps."""
    tree: dict = {}
    for name, array in flat.items():
        *parts, last = name.split("/")
        inner = tree
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = array
    return {"params": tree}


def settings_and_parameters() -> tuple[ModelSettings, dict[str, np.ndarray]]:
    """Settings and mlff's parameters of the small network."""
    settings = settings_from_mlff(HYPERPARAMETERS)
    return settings, random_parameters(settings)


def port_attributes(**changes) -> dict:
    """Attributes of the small network in the PyTorch port."""
    renamed = {
        "cutoff": "r_max",
        "cutoff_fn": "cutoff_fn_name",
        "activation_fn": "activation_fn_name",
        "energy_activation_fn": "energy_activation_fn_name",
    }
    attributes = {renamed.get(name, name): value for name, value in MODEL.items()}
    return attributes | {
        "avg_num_neighbors": 5.5, "num_elements": 118, "final_mlp_layers": 2, "initialize_ev_to_zeros": True,
        "trainable_rbf": False, "interaction_bias": True, "training": False, "r_max_lr": None,
    } | changes  # fmt: skip


def same_tensors(one: Potential, other: Potential) -> bool:
    """Whether two potentials have the same parameters, bit for bit."""
    a, b = flat_parameters(one.parameters), flat_parameters(other.parameters)
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)
