"""How networks of mlff v0.3, the paper's first program, become ours, as far as our network covers them.

The mathematics is that of v1.0 with attention weights divided by the root of the head's width and layers in their
first form (``ModelSettings.layer_form``); per-head matrices are stored [heads, in, out], filters carry a leading axis
of length one. A repulsion and Euclidean variables that begin with the geometry are options of v0.3 that our network
does not have.
"""

from collections.abc import Iterator, Mapping
from itertools import compress
from typing import Any

import numpy as np

from so3lab.network.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.pretrained.arrays import Tree
from so3lab.pretrained.mlff import translated

CUTOFF_FUNCTIONS = {"cosine_cutoff_fn": "cosine"}
RADIAL_BASES = {"phys": "physnet", "physnet": "physnet"}
_FILTER_AND_ATTENTION = {
    "fb_filter": "radial_spherical",
    "gb_filter": "radial_spherical",
    "fb_attention": "conv_att",
    "gb_attention": "conv_att",
    "parity": True,
}
_OPTIONS_OF_LAYERS = {
    "fb_rad_filter_features", "fb_sph_filter_features", "gb_rad_filter_features", "gb_sph_filter_features",
    "degrees", "n_heads", "layer_normalization", "residual_mlp_1", "residual_mlp_2",
}  # fmt: skip


def settings_from_v03(hyperparameters: Mapping[str, Any]) -> ModelSettings:
    """Settings of a network of mlff v0.3.

    Args:
        hyperparameters: The content of ``hyperparameters.json``, with its section ``stack_net``.

    Raises:
        ValueError: If it uses something that our network does not have.
    """
    net = hyperparameters["stack_net"]
    geometry = _only(net, "geometry_embeddings", "geometry_embed")
    embedding = _only(net, "feature_embeddings", "atom_type_embed")
    energy = _only(net, "observables", "energy")
    layers = [_part(layer, "so3krates_layer") for layer in net["layers"]]
    features = int(embedding["features"])
    for layer in layers:
        _check_layer(layer, layers[0], features)
    _refuse(geometry, {"sphc_normalization": None, "solid_harmonic": False}, "geometry embedding")
    _refuse(energy, {"zbl_repulsion": False, "zbl_repulsion_shift": 0.0}, "energy")
    if geometry["degrees"] != layers[0]["degrees"]:
        raise ValueError(f"degrees differ: {geometry['degrees']} in the geometry, {layers[0]['degrees']} in layers")
    return ModelSettings(
        num_features=features,
        num_layers=len(layers),
        num_heads=int(layers[0]["n_heads"]),
        degrees=tuple(geometry["degrees"]),
        cutoff=float(geometry["r_cut"]),
        cutoff_function=translated(geometry, "radial_cutoff_fn", CUTOFF_FUNCTIONS),  # type: ignore[arg-type]
        radial_basis=translated(geometry, "radial_basis_function", RADIAL_BASES),  # type: ignore[arg-type]
        num_radial=int(geometry["n_rbf"]),
        normalization="sqrt_width",
        layer_form="v0.3",
        layer_normalization=(bool(layers[0].get("layer_normalization")),) * 2,
        residual_mlp=(bool(layers[0].get("residual_mlp_1")), bool(layers[0].get("residual_mlp_2"))),
        energy_hidden=features,
        learn_atomic_scales=energy.get("per_atom_scale") is not None,
        learn_atomic_shifts=energy.get("per_atom_shift") is not None,
        repulsion=False,
    )


def from_v03(settings: ModelSettings, source: Tree, hyperparameters: Mapping[str, Any]) -> Tree:
    """Our parameters from those of mlff v0.3.

    Args:
        settings: Of :func:`settings_from_v03`.
        source: Arrays by path below ``params``.
        hyperparameters: Where v0.3 keeps fixed scales and shifts per element.

    Raises:
        ValueError: If a parameter is missing, or one is there that our network does not have.
    """
    names = dict(_names(settings))
    if missing := sorted(set(names.values()) - set(source)):
        raise ValueError(f"the parameters lack {', '.join(missing[:4])}, which the settings ask for")
    if extra := sorted(set(source) - set(names.values())):
        raise ValueError(f"the parameters hold {', '.join(extra[:4])}, which so3lab's network does not have")
    ours = {name: _shaped(name, source[theirs]) for name, theirs in names.items()}
    energy = _only(hyperparameters["stack_net"], "observables", "energy")
    for kind, wanted in (("scale", settings.learn_atomic_scales), ("shift", settings.learn_atomic_shifts)):
        if wanted:
            ours[f"energy.{kind}s"] = _element_table(np.asarray(energy[f"per_atom_{kind}"], np.float32))
    return ours


def _names(settings: ModelSettings) -> Iterator[tuple[str, str]]:
    yield "element.embedding", "feature_embeddings_0/Embed_0/embedding"
    for number in range(settings.num_layers):
        ours, theirs = f"layers.{number}", f"layers_{number}"
        for name, block in (("features", "FeatureBlock_0"), ("euclidean", "GeometricBlock_0")):
            for part, mlp in (("radial", "VmapMLP_0"), ("geometric", "VmapMLP_1")):
                for index, place in enumerate(("first", "second")):
                    yield from _dense(
                        f"{ours}.attention.filter_{name}.{part}.{place}",
                        f"{theirs}/{block}/filter_fn/{mlp}/layers_{index}",
                    )
            attention = f"{theirs}/{block}/attention_fn"
            for kind, dense in (("query", "Dense_0"), ("key", "Dense_1")):
                blocks = f"{ours}.attention.{kind}_{name}.blocks"
                yield blocks, f"{attention}/VmapConvAttentionCoefficients_0/{dense}/kernel"
        yield (
            f"{ours}.attention.value_features.blocks",
            f"{theirs}/FeatureBlock_0/attention_fn/VmapAttentionAggregation_0/Dense_0/kernel",
        )
        yield from _dense(f"{ours}.exchange.dense", f"{theirs}/InteractionBlock_0/MLP_0/layers_0")
        yield from _after_attention(settings, ours, theirs)
    yield from _dense("energy.hidden", "observables_0/MLP_0/layers_0")
    yield from _dense("energy.final", "observables_0/MLP_0/layers_1")


def _after_attention(settings: ModelSettings, ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    """Norms and residual MLPs, which v0.3 counts from 0 in the order in which a layer has them."""
    places = ("first", "last")
    for number, place in enumerate(compress(places, settings.layer_normalization)):
        for part in ("scale", "bias"):
            yield f"{ours}.{place}_norm.{part}", f"{theirs}/LayerNorm_{number}/{part}"
    for number, place in enumerate(compress(places, settings.residual_mlp)):
        mlp = f"{theirs}/ResidualMLP_{number}"
        for index, part in enumerate(("first", "second")):
            yield f"{ours}.{place}_mlp.residual.{part}.kernel", f"{mlp}/Residual_0/layers_{index}/kernel"
        yield f"{ours}.{place}_mlp.last.kernel", f"{mlp}/Dense_0/kernel"


def _dense(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.kernel", f"{theirs}/kernel"
    yield f"{ours}.bias", f"{theirs}/bias"


def _shaped(name: str, array: np.ndarray) -> np.ndarray:
    if name == "element.embedding":
        return _element_table(array)
    if name.endswith(".blocks"):
        return np.ascontiguousarray(array.swapaxes(-1, -2))
    if ".filter_" in name:
        array = array[0]
    return np.ascontiguousarray(array)


def _element_table(array: np.ndarray) -> np.ndarray:
    """Padded to all elements, with zeros for the element 0 that does not exist."""
    table = np.zeros((MAX_ATOMIC_NUMBER + 1, *array.shape[1:]), np.float32)
    if not 2 <= len(array) <= len(table):
        raise ValueError(f"a table of elements has {len(array)} rows; expected up to {len(table)}")
    table[1 : len(array)] = array[1:]
    return table


def _check_layer(layer: Mapping[str, Any], first: Mapping[str, Any], features: int) -> None:
    if layer != first:
        raise ValueError("the layers of the network differ from one another, which so3lab does not have")
    for kind, widths in (("rad", [features, features]), ("sph", [features // 4, features])):
        for name in (f"fb_{kind}_filter_features", f"gb_{kind}_filter_features"):
            if list(layer.get(name, widths)) != widths:
                raise ValueError(f"{name} must be {widths}, got {layer[name]}")
    for name, wanted in _FILTER_AND_ATTENTION.items():
        if layer.get(name, wanted) != wanted:
            raise ValueError(f"{name} must be {wanted!r}, got {layer[name]!r}")
    known = _OPTIONS_OF_LAYERS | set(_FILTER_AND_ATTENTION)
    _refuse({name: value for name, value in layer.items() if name not in known}, {}, "layers")


def _refuse(options: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> None:
    """``defaults`` are the admitted values of named options; without any, every option must be off."""
    for name, value in options.items():
        if name in defaults and value != defaults[name] and value not in (None, False):
            raise ValueError(f"the {where} use {name} = {value!r}, which so3lab does not have")
        if not defaults and value not in (None, False):
            raise ValueError(f"the {where} use {name} = {value!r}, which so3lab does not have")


def _only(net: Mapping[str, Any], section: str, kind: str) -> Mapping[str, Any]:
    parts = net[section]
    if len(parts) != 1:
        raise ValueError(f"{section} must have one entry, {kind}, got {len(parts)}: so3lab has no others")
    return _part(parts[0], kind)


def _part(entry: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if set(entry) != {kind}:
        raise ValueError(f"expected {kind} in the network, got {', '.join(entry)}: so3lab has no other")
    return entry[kind]
