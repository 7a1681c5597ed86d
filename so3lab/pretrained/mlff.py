"""How mlff's hyperparameters become our settings: every option translated, or refused by name.

Source: the files that mlff v1.0 and the SO3LR release write (``hyperparameters.json``).
"""

from collections.abc import Mapping
from typing import Any

from so3lab.network.settings import ModelSettings

SAME = {
    "num_layers": "num_layers", "num_features": "num_features", "num_heads": "num_heads", "degrees": "degrees",
    "cutoff": "cutoff", "num_radial_basis_fn": "num_radial", "qk_non_linearity": "qk_activation",
    "energy_activation_fn": "energy_activation", "energy_regression_dim": "energy_hidden",
    "energy_learn_atomic_type_scales": "learn_atomic_scales",
    "energy_learn_atomic_type_shifts": "learn_atomic_shifts", "use_charge_embed": "charge_embedding",
    "use_spin_embed": "spin_embedding", "zbl_repulsion_bool": "repulsion", "dispersion_energy_bool": "dispersion",
    "electrostatic_energy_scale": "screening_length", "dispersion_energy_scale": "dispersion_scale",
    "cutoff_lr": "long_range_cutoff", "dispersion_energy_cutoff_lr_damping": "dispersion_damping",
    "output_is_zero_at_init": "zero_energy_at_init", "layers_behave_like_identity_fn_at_init": "identity_at_init",
}  # fmt: skip
"""Options with the same meaning under another name."""
OTHERWISE = {
    "cutoff_fn", "radial_basis_fn", "message_normalization", "avg_num_neighbors", "activation_fn",
    "layer_normalization_1", "layer_normalization_2", "residual_mlp_1", "residual_mlp_2",
    "electrostatic_energy_bool",
}  # fmt: skip
WITHOUT_EFFECT = {
    "num_features_head",
    "input_convention",
    "neighborlist_format_lr",
    "output_intermediate_quantities",
}
RADIAL_BASES = {
    "bernstein": "bernstein",
    "physnet": "physnet",
    "phys": "physnet",
    "fourier": "bessel",
    "bessel": "bessel",
}
CUTOFF_FUNCTIONS = {"phys": "phys", "cosine": "cosine", "exponential": "exponential"}
NORMALIZATIONS = {
    "avg_num_neighbors": "mean_neighbors",
    "sqrt_num_features": "sqrt_width",
    "identity": "none",
}
REQUIRED = ("num_layers", "num_features", "num_heads", "degrees", "cutoff", "cutoff_fn", "radial_basis_fn",
            "num_radial_basis_fn", "message_normalization")  # fmt: skip


def settings_from_mlff(hyperparameters: Mapping[str, Any]) -> ModelSettings:
    """Settings of a network of mlff v1.0.

    Args:
        hyperparameters: The content of ``hyperparameters.json``: sections ``model`` and ``data``.

    Raises:
        ValueError: If an option is missing, or has a value that our network does not have.
    """
    model = hyperparameters.get("model")
    data = hyperparameters.get("data") or {}
    if not isinstance(model, Mapping) or not isinstance(data, Mapping):
        raise ValueError("the hyperparameters have no section 'model'; is this the file of an mlff model?")
    if missing := [name for name in REQUIRED if name not in model]:
        raise ValueError(f"the hyperparameters lack {', '.join(missing)} in their section 'model'")
    _refuse_unknown(model)
    values = {ours: model[theirs] for theirs, ours in SAME.items() if model.get(theirs) is not None}
    values["energy_hidden"] = model.get("energy_regression_dim")
    for ours, default in _ABSENT.items():
        values.setdefault(ours, default)
    values |= {
        "cutoff_function": translated(model, "cutoff_fn", CUTOFF_FUNCTIONS),
        "radial_basis": translated(model, "radial_basis_fn", RADIAL_BASES),
        "normalization": translated(model, "message_normalization", NORMALIZATIONS),
        "layer_normalization": tuple(bool(model.get(f"layer_normalization_{k}", False)) for k in (1, 2)),
        "residual_mlp": tuple(bool(model.get(f"residual_mlp_{k}", False)) for k in (1, 2)),
        "electrostatics": "exact" if model.get("electrostatic_energy_bool") else "none",
    }
    if values["normalization"] == "mean_neighbors":
        values["mean_neighbors"] = _mean_neighbors(model, data)
    return ModelSettings(**values)


_ABSENT = {
    "repulsion": False,
    "dispersion": False,
    "charge_embedding": False,
    "spin_embedding": False,
    "learn_atomic_scales": False,
    "learn_atomic_shifts": False,
    "energy_activation": "identity",
}
"""What mlff does where its file does not mention an option; ours has other defaults."""


def _refuse_unknown(model: Mapping[str, Any]) -> None:
    """Options that we do not know may stay off; switched on, they change what the network computes."""
    known = set(SAME) | OTHERWISE | WITHOUT_EFFECT
    for name, value in model.items():
        if name not in known and value not in (None, False):
            raise ValueError(f"the network uses {name} = {value!r}, which so3lab does not have")
    if model.get("activation_fn", "silu") != "silu":
        raise ValueError(f"activation_fn must be 'silu', got {model['activation_fn']!r}")
    for name in ("electrostatic_energy_bool", "dispersion_energy_bool"):
        if model.get(name) and (model.get("energy_activation_fn") != "silu" or not model.get("energy_regression_dim")):
            raise ValueError(
                f"with {name}, so3lab needs energy_activation_fn = 'silu' and an energy_regression_dim, got "
                f"{model.get('energy_activation_fn')!r} and {model.get('energy_regression_dim')!r}"
            )


def translated(options: Mapping[str, Any], name: str, choices: Mapping[str, str]) -> str:
    """Our word for what an option of mlff says.

    Raises:
        ValueError: If we have none.
    """
    if options[name] not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {options[name]!r}: so3lab has no other")
    return choices[options[name]]


def _mean_neighbors(model: Mapping[str, Any], data: Mapping[str, Any]) -> float:
    """Written with the data's statistics, or with the model."""
    for section in (data, model):
        if section.get("avg_num_neighbors") is not None:
            return float(section["avg_num_neighbors"])
    raise ValueError("message_normalization is 'avg_num_neighbors', but the hyperparameters hold no avg_num_neighbors")
