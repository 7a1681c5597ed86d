"""How the attributes of a so3krates-torch model become our settings.

The port keeps the options of mlff under slightly different names, so they take the same way as mlff's. Adapters,
several output heads and other additions of the port change what the network computes and are refused by name.
"""

from typing import Any

import numpy as np

from so3lab.network.settings import ModelSettings
from so3lab.pretrained.inert_pickle import Name
from so3lab.pretrained.mlff import settings_from_mlff
from so3lab.pretrained.names import TORCH_SCALES, TORCH_SHIFTS
from so3lab.pretrained.torch_archive import TorchModel

RENAMED = {
    "r_max": "cutoff",
    "cutoff_fn_name": "cutoff_fn",
    "activation_fn_name": "activation_fn",
    "energy_activation_fn_name": "energy_activation_fn",
    "r_max_lr": "cutoff_lr",
}
SAME = (
    "num_layers", "num_features", "num_heads", "degrees", "num_radial_basis_fn", "radial_basis_fn",
    "message_normalization", "avg_num_neighbors", "layer_normalization_1", "layer_normalization_2",
    "residual_mlp_1", "residual_mlp_2", "qk_non_linearity", "use_charge_embed", "use_spin_embed",
    "zbl_repulsion_bool", "electrostatic_energy_bool", "electrostatic_energy_scale", "dispersion_energy_bool",
    "dispersion_energy_scale", "dispersion_energy_cutoff_lr_damping",
)  # fmt: skip
FIXED = {
    "num_elements": 118,
    "final_mlp_layers": 2,
    "initialize_ev_to_zeros": True,
    "trainable_rbf": False,
    "interaction_bias": True,
}
"""Options that our network has in one way only."""
WITHOUT_EFFECT = {
    "training", "device", "seed", "dtype", "avg_num_neighbors_param", "atomic_type_shifts", "cutoff_p",
    "energy_learn_atomic_type_shifts", "energy_learn_atomic_type_scales", "energy_regression_dim",
    "layers_behave_like_identity_fn_at_init", "output_is_zero_at_init", "input_convention", "num_features_head",
    "num_embeddings", "embedding_scale", "neighborlist_format_lr", "use_lr", "activation_fn",
    "energy_activation_fn", "num_graphs", "is_lammps", "lammps_natoms", "lammps_class",
}  # fmt: skip
"""Attributes that follow from others, concern initial weights, or are left over from a prediction."""
KINDS = {"so3krates_torch.modules.models.SO3LR", "so3krates_torch.modules.models.So3krates"}
PARTS = {
    "ModuleList", "Sequential", "Linear", "Identity", "Embedding", "LayerNorm", "SiLU", "CosineCutoff",
    "PhysNetCutoff", "ExponentialCutoff", "RealSphericalHarmonics", "InvariantEmbedding", "ChargeSpinEmbedding",
    "EuclideanEmbedding", "ComputeRBF", "BernsteinBasis", "BesselBasis", "EuclideanTransformer", "FilterNet",
    "EuclideanAttentionBlock", "L0Contraction", "InteractionBlock", "AtomicEnergyOutputHead", "ZBLRepulsion",
    "PartialChargesOutputHead", "DipoleVecOutputHead", "HirshfeldOutputHead", "ElectrostaticInteraction",
    "DispersionInteraction",
}  # fmt: skip
"""Classes of modules whose mathematics is ours."""


def settings_from_torch(model: TorchModel) -> ModelSettings:
    """Settings of a model of so3krates-torch.

    Raises:
        ValueError: If it is another model, or uses something that our network does not have.
    """
    if model.kind not in KINDS:
        raise ValueError(f"the file holds a {model.kind}; so3lab reads {', '.join(sorted(KINDS))}")
    for place, kind in model.submodules.items():
        if place and kind.rpartition(".")[2] not in PARTS:
            raise ValueError(f"the network has a {kind} at {place}, which so3lab does not have")
    attributes = model.attributes
    _refuse_unknown(attributes)
    options: dict[str, Any] = {name: attributes[name] for name in SAME if name in attributes}
    options |= {ours: attributes[theirs] for theirs, ours in RENAMED.items() if theirs in attributes}
    options["energy_regression_dim"] = attributes.get("energy_regression_dim") or attributes.get("num_features")
    for name, tensor, usual in (("scales", TORCH_SCALES, 1.0), ("shifts", TORCH_SHIFTS, 0.0)):
        learned = bool(attributes.get(f"energy_learn_atomic_type_{name}"))
        used = learned or bool(np.any(model.tensors.get(tensor, np.full(1, usual)) != usual))
        options[f"energy_learn_atomic_type_{name}"] = used
    return settings_from_mlff({"model": options})


def _refuse_unknown(attributes: dict[str, Any]) -> None:
    for name, value in FIXED.items():
        if attributes.get(name, value) != value:
            raise ValueError(f"{name} must be {value!r}, got {attributes[name]!r}: so3lab has no other")
    known = set(SAME) | set(RENAMED) | set(FIXED) | WITHOUT_EFFECT
    for name, value in attributes.items():
        if name not in known and value not in (None, False) and not isinstance(value, Name):
            raise ValueError(f"the network uses {name} = {value!r}, which so3lab does not have")
