"""What the parameters of the same network are called in so3lab, in mlff (JAX) and in so3krates-torch.

One row per parameter of ours. mlff keeps the shapes that we keep; the PyTorch port stores dense layers
transposed, per-head matrices with their last two axes swapped, and element tables as dense layers on one-hot
vectors, without a row for element 0.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from so3lab.network.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.pretrained.arrays import Tree

Kind = Literal["vector", "kernel", "heads", "elements", "short elements", "scalars"]
ROWS = MAX_ATOMIC_NUMBER + 1
SHORT_ROWS = 100
"""Rows of the element tables of charges and Hirshfeld ratios in the published files."""


class Row(NamedTuple):
    """One parameter; several names where ours joins several of theirs."""

    ours: str
    mlff: tuple[str, ...]
    torch: tuple[str, ...]
    kind: Kind


def rows(settings: ModelSettings) -> Iterator[Row]:
    """All parameters of a network with these settings."""
    yield Row(
        "element.embedding",
        ("feature_embeddings_0/Embed_0/embedding",),
        ("inv_feature_embedding.embedding.weight",),
        "elements",
    )
    number = 0
    for name, present in (("charge", settings.charge_embedding), ("spin", settings.spin_embedding)):
        if present:
            number += 1
            yield from _charge_embedding(name, f"feature_embeddings_{number}/ChargeSpinEmbedSparse_0")
    for layer in range(settings.num_layers):
        yield from _layer(layer, settings)
    yield from _energy(settings)
    if settings.repulsion:
        yield from _repulsion()
    if settings.electrostatics != "none":
        yield from _partial_charges()
    if settings.dispersion:
        yield from _hirshfeld()


def _dense(ours: str, mlff: str, torch: str, bias: bool = True) -> Iterator[Row]:
    yield Row(f"{ours}.kernel", (f"{mlff}/kernel",), (f"{torch}.weight",), "kernel")
    if bias:
        yield Row(f"{ours}.bias", (f"{mlff}/bias",), (f"{torch}.bias",), "vector")


def _norm(ours: str, mlff: str, torch: str) -> Iterator[Row]:
    yield Row(f"{ours}.scale", (f"{mlff}/scale",), (f"{torch}.weight",), "vector")
    yield Row(f"{ours}.bias", (f"{mlff}/bias",), (f"{torch}.bias",), "vector")


def _charge_embedding(name: str, mlff: str) -> Iterator[Row]:
    torch = f"{name}_embedding"
    yield Row(f"{name}.query.embedding", (f"{mlff}/Embed_0/embedding",), (f"{torch}.Wq.weight",), "elements")
    yield Row(f"{name}.key", (f"{mlff}/Embed_1/embedding",), (f"{torch}.Wk",), "vector")
    yield Row(f"{name}.value", (f"{mlff}/Embed_2/embedding",), (f"{torch}.Wv",), "vector")
    yield from _dense(f"{name}.mlp.first", f"{mlff}/Residual_0/layers_0", f"{torch}.mlp.1", bias=False)
    yield from _dense(f"{name}.mlp.second", f"{mlff}/Residual_0/layers_1", f"{torch}.mlp.3", bias=False)


def _layer(number: int, settings: ModelSettings) -> Iterator[Row]:
    ours, mlff, torch = f"layers.{number}", f"layers_{number}", f"euclidean_transformers.{number}"
    for name, code, short in (("features", 1, "inv"), ("euclidean", 2, "ev")):
        ours_filter, torch_filter = f"{ours}.attention.filter_{name}", f"{torch}.filter_net_{short}"
        for part, theirs, mlp in (("radial", "radial", "mlp_rbf"), ("geometric", "spherical", "mlp_ev")):
            stem = f"{mlff}/attention_block/{theirs}_filter{code}_layer"
            yield from _dense(f"{ours_filter}.{part}.first", f"{stem}_1", f"{torch_filter}.{mlp}.0")
            second = f"{torch_filter}.{mlp}.{mlp}_layer_1.0"
            yield from _dense(f"{ours_filter}.{part}.second", f"{stem}_2", second)
        for kind in ("query", "key", "value") if name == "features" else ("query", "key"):
            yield Row(
                f"{ours}.attention.{kind}_{name}.blocks",
                (f"{mlff}/attention_block/W{kind[0]}{code}",),
                (f"{torch}.euclidean_attention_block.W_{kind[0]}_{short}",),
                "heads",
            )
    for number, place in ((1, "first"), (2, "last")):
        if settings.layer_normalization[number - 1]:
            norm = f"{mlff}/layer_normalization_{number}", f"{torch}.layer_norm_inv_{number}"
            yield from _norm(f"{ours}.{place}_norm", *norm)
        if settings.residual_mlp[number - 1]:
            stem, target = f"{mlff}/res_mlp_{number}_layer", f"{torch}.mlp_{number}"
            yield from _dense(f"{ours}.{place}_mlp.first", f"{stem}_1", f"{target}.1")
            yield from _dense(f"{ours}.{place}_mlp.second", f"{stem}_2", f"{target}.3")
    exchange = f"{torch}.interaction_block.linear_layer"
    yield from _dense(f"{ours}.exchange.dense", f"{mlff}/exchange_block/mlp_layer_2", exchange)


def _energy(settings: ModelSettings) -> Iterator[Row]:
    mlff, torch = "observables_0", "atomic_energy_output_block"
    if settings.energy_hidden:
        yield from _dense("energy.hidden", f"{mlff}/energy_dense_regression", f"{torch}.layers.0")
    yield from _dense("energy.final", f"{mlff}/energy_dense_final", f"{torch}.final_layer")
    if settings.learn_atomic_scales:
        yield Row("energy.scales", (f"{mlff}/atomic_scales",), (f"{torch}.energy_scales.weight",), "elements")
    if settings.learn_atomic_shifts:
        yield Row("energy.shifts", (f"{mlff}/energy_offset",), (f"{torch}.energy_shifts",), "elements")


def _repulsion() -> Iterator[Row]:
    for ours, names in (
        ("exponents", ("a1", "a2", "a3", "a4")),
        ("coefficients", ("c1", "c2", "c3", "c4")),
        ("power", ("p",)),
        ("inverse_length", ("d",)),
    ):
        yield Row(
            f"repulsion.{ours}",
            tuple(f"observables_0/zbl_repulsion/{name}" for name in names),
            tuple(f"zbl_repulsion.{name}_raw" for name in names),
            "scalars",
        )


def _partial_charges() -> Iterator[Row]:
    ours, torch = "partial_charges", "partial_charges_output_block"
    mlff = "observables_0/electrostatic_energy/partial_charges"
    for layer, theirs, index in (("hidden", "regression", 0), ("final", "final", 2)):
        yield from _dense(
            f"{ours}.{layer}", f"{mlff}/charge_dense_{theirs}_vec", f"{torch}.transform_inv_features.{index}"
        )
    embedding = f"{mlff}/Embed_0/embedding"
    yield Row(f"{ours}.element_bias", (embedding,), (f"{torch}.atomic_embedding.weight",), "short elements")


def _hirshfeld() -> Iterator[Row]:
    ours, mlff, torch = "hirshfeld", "observables_2", "hirshfeld_output_block"
    for layer, theirs, index in (("hidden", "regression", 0), ("final", "final", 2)):
        yield from _dense(
            f"{ours}.{layer}",
            f"{mlff}/hirshfeld_ratios_dense_{theirs}",
            f"{torch}.transform_features.{index}",
        )
    for name, number, theirs in (("element_bias", 0, "v_shift"), ("element_query", 1, "q")):
        embedding = f"{mlff}/Embed_{number}/embedding"
        yield Row(f"{ours}.{name}", (embedding,), (f"{torch}.{theirs}_embedding.weight",), "short elements")


UNUSED_HEADS = ("observables_0/electrostatic_energy/", "observables_0/zbl_repulsion/", "observables_2/")
"""mlff creates these parameters even where the settings switch their energies off."""


def from_mlff(settings: ModelSettings, source: Tree) -> Tree:
    """Our parameters from those of mlff v1.0, by name.

    Args:
        settings: What the network is.
        source: Arrays by path below ``params``.

    Raises:
        ValueError: If a parameter is missing, or one is there that the settings do not explain.
    """
    wanted = list(rows(settings))
    _require(source, [name for row in wanted for name in row.mlff], allowed=UNUSED_HEADS)
    return {row.ours: _shaped(row, [_first_level(name, source[name]) for name in row.mlff]) for row in wanted}


def from_torch(settings: ModelSettings, source: Tree) -> Tree:
    """Our parameters from those of so3krates-torch, by name; arguments and errors as :func:`from_mlff`."""
    wanted = list(rows(settings))
    names = [name for row in wanted for name in row.torch]
    present = {name: array for name, array in source.items() if not name.endswith(TORCH_CONSTANTS)}
    if not settings.learn_atomic_scales and np.all(present.get(TORCH_SCALES, np.ones(1)) == 1.0):
        present.pop(TORCH_SCALES, None)
    if not settings.learn_atomic_shifts and np.all(present.get(TORCH_SHIFTS, np.zeros(1)) == 0.0):
        present.pop(TORCH_SHIFTS, None)
    _require(present, names, allowed=TORCH_UNUSED_HEADS)
    return {row.ours: _shaped(row, [_untransposed(row.kind, present[name]) for name in row.torch]) for row in wanted}


TORCH_SCALES, TORCH_SHIFTS = (f"atomic_energy_output_block.energy_{what}" for what in ("scales.weight", "shifts"))
TORCH_CONSTANTS = (
    ".radial_basis_fn.b", ".radial_basis_fn.k", ".radial_basis_fn.k_rev", ".radial_basis_fn.gamma",
    ".radial_basis_fn.freqs", ".degree_repeats", ".cg_rep", ".segment_ids", ".segment_sum_matrix",
)  # fmt: skip
"""Buffers of the port that follow from its settings."""
TORCH_UNUSED_HEADS = ("partial_charges_output_block.", "hirshfeld_output_block.", "zbl_repulsion.")


def _require(source: Tree, names: list[str], allowed: tuple[str, ...]) -> None:
    """Every wanted parameter is there, and nothing that would change what the network computes."""
    if missing := sorted(set(names) - set(source)):
        raise ValueError(f"the parameters lack {_some(missing)}, which the settings ask for")
    extra = sorted(name for name in set(source) - set(names) if not name.startswith(allowed))
    if extra:
        raise ValueError(f"the parameters hold {_some(extra)}, which so3lab's network does not have")


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _first_level(name: str, array: np.ndarray) -> np.ndarray:
    """Newer files give the energy head one column per level of theory; they are copies of one another."""
    levels = {"observables_0/energy_dense_final/kernel": 2, "observables_0/energy_dense_final/bias": 1}
    axes = levels.get(name) or {"observables_0/atomic_scales": 2, "observables_0/energy_offset": 2}.get(name)
    if axes is None or array.ndim != axes or array.shape[-1] == 1:
        return array
    if np.any(array != array[..., :1]):
        raise ValueError(f"{name} holds {array.shape[-1]} different levels of theory; so3lab reads networks with one")
    return array[..., :1]


def _untransposed(kind: Kind, array: np.ndarray) -> np.ndarray:
    """A parameter of the port in mlff's arrangement."""
    if kind == "kernel":
        return array.T
    if kind == "heads":
        return array.swapaxes(-1, -2)
    if kind == "elements":  # [out, 118] for tables, [118] or [1, 118] for numbers
        table = array.T if array.ndim == 2 else array[:, None]
        return np.concatenate([np.zeros_like(table[:1]), table])
    return array


def _shaped(row: Row, arrays: list[np.ndarray]) -> np.ndarray:
    """In our shape: joined, padded to all elements, with zeros for the element 0 that does not exist."""
    array = np.concatenate([part.reshape(-1) for part in arrays]) if row.kind == "scalars" else arrays[0]
    if row.kind in ("elements", "short elements"):
        array = _element_table(row, array)
    return np.ascontiguousarray(array)


def _element_table(row: Row, array: np.ndarray) -> np.ndarray:
    length = array.shape[0]
    if length > ROWS or (row.kind == "elements" and length not in (ROWS, SHORT_ROWS)):
        raise ValueError(f"{row.ours} has {length} rows, one per element; expected {ROWS} or {SHORT_ROWS}")
    table = np.zeros((ROWS, *array.shape[1:]), array.dtype)
    table[1:length] = array[1:]
    one_number = row.ours.endswith((".scales", ".shifts", "element_bias"))
    return table.reshape(ROWS) if one_number else table
