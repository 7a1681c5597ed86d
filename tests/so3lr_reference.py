"""The published SO3LR network in our classes, for comparison with numbers of the authors' code."""

import io
import pickle
from pathlib import Path

import jax.numpy as jnp
from flax import nnx

from so3lab.model import So3krates
from so3lab.settings import ModelSettings

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
FOLDER = SHARED / "reference" / "so3lr"
SETTINGS = ModelSettings(
    num_features=128, num_layers=3, num_heads=4, degrees=(1, 2, 3, 4), cutoff=4.5, cutoff_function="phys",
    radial_basis="bernstein", num_radial=32, mean_neighbors=13.168995780096482, layer_normalization=(True, True),
    residual_mlp=(True, False), energy_hidden=128, charge_embedding=True, spin_embedding=True, repulsion=True,
)  # fmt: skip


class ArraysOnly(pickle.Unpickler):
    """Admits NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str):
        if module.startswith("numpy") and name in {
            "_reconstruct",
            "ndarray",
            "dtype",
            "scalar",
            "_frombuffer",
        }:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not an array")


def _dense(layer: nnx.Linear, source: dict) -> None:
    layer.kernel[...] = jnp.asarray(source["kernel"])
    if "bias" in source:
        layer.bias[...] = jnp.asarray(source["bias"])


def _norm(layer: nnx.LayerNorm, source: dict) -> None:
    layer.scale[...], layer.bias[...] = jnp.asarray(source["scale"]), jnp.asarray(source["bias"])


def load() -> So3krates:
    """The network with the published weights; call inside ``jax.enable_x64(True)`` for float64 work."""
    params = ArraysOnly(io.BytesIO((FOLDER / "params.pkl").read_bytes())).load()["params"]
    model = So3krates(SETTINGS, rngs=nnx.Rngs(0))
    model.element.embedding[...] = jnp.asarray(params["feature_embeddings_0"]["Embed_0"]["embedding"])
    for number, target in ((1, model.charge), (2, model.spin)):
        source = params[f"feature_embeddings_{number}"]["ChargeSpinEmbedSparse_0"]
        target.query.embedding[...] = jnp.asarray(source["Embed_0"]["embedding"])
        target.key[...] = jnp.asarray(source["Embed_1"]["embedding"])
        target.value[...] = jnp.asarray(source["Embed_2"]["embedding"])
        _dense(target.mlp.first, source["Residual_0"]["layers_0"])
        _dense(target.mlp.second, source["Residual_0"]["layers_1"])
    for number, layer in enumerate(model.layers):
        _load_layer(layer, params[f"layers_{number}"])
    head = params["observables_0"]
    _dense(model.energy.hidden, head["energy_dense_regression"])
    _dense(model.energy.final, head["energy_dense_final"])
    model.energy.scales[...] = jnp.asarray(head["atomic_scales"]).reshape(-1)
    model.energy.shifts[...] = jnp.asarray(head["energy_offset"]).reshape(-1)
    zbl = {name: jnp.asarray(value).reshape(1) for name, value in head["zbl_repulsion"].items()}
    model.repulsion.exponents[...] = jnp.concatenate([zbl[f"a{k}"] for k in range(1, 5)])
    model.repulsion.coefficients[...] = jnp.concatenate([zbl[f"c{k}"] for k in range(1, 5)])
    model.repulsion.power[...], model.repulsion.inverse_length[...] = zbl["p"], zbl["d"]
    return model


def _load_layer(layer, source: dict) -> None:
    attention = source["attention_block"]
    for ours, number in (("features", 1), ("euclidean", 2)):
        pair_filter = getattr(layer.attention, f"filter_{ours}")
        for part, name in ((pair_filter.radial, "radial"), (pair_filter.geometric, "spherical")):
            _dense(part.first, attention[f"{name}_filter{number}_layer_1"])
            _dense(part.second, attention[f"{name}_filter{number}_layer_2"])
        for kind in ("query", "key", "value") if number == 1 else ("query", "key"):
            projection = getattr(layer.attention, f"{kind}_{ours}")
            projection.blocks[...] = jnp.asarray(attention[f"W{kind[0]}{number}"])
    _norm(layer.first_norm, source["layer_normalization_1"])
    _norm(layer.last_norm, source["layer_normalization_2"])
    _dense(layer.first_mlp.first, source["res_mlp_1_layer_1"])
    _dense(layer.first_mlp.second, source["res_mlp_1_layer_2"])
    _dense(layer.exchange.dense, source["exchange_block"]["mlp_layer_2"])
