"""A trained model as one safetensors file: settings, weights by name, element shifts, and where they come from."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from so3lab.engine.energy_model import abstract_network
from so3lab.machine.files import atomic_write
from so3lab.network.settings import ModelSettings

SUFFIX = ".so3.safetensors"
CITATION = (
    "J. T. Frank, O. T. Unke, K.-R. Müller, S. Chmiela, "
    "A Euclidean transformer for fast and stable machine learned force fields, Nat. Commun. 15, 6539 (2024)"
)
_FORMAT = 1


class ModelContent(NamedTuple):
    """What a model file holds."""

    settings: ModelSettings
    tensors: dict[str, np.ndarray]
    energy_shifts: dict[int, float]
    """eV per atom of each element."""
    metadata: dict[str, Any]


def write_model(path: Path, content: ModelContent) -> None:
    """Write a model file, all or nothing; folders are made where they are missing."""
    about = {
        "format": _FORMAT,
        "settings": content.settings.to_dict(),
        "energy_shifts_eV": {str(z): value for z, value in content.energy_shifts.items()},
        "units": {"energy": "eV", "length": "angstrom", "forces": "eV/angstrom"},
        "citation": CITATION,
        "metadata": content.metadata,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_bytes(safetensors.numpy.save(content.tensors, metadata={"so3lab": json.dumps(about)}))


def read_model(path: Path) -> ModelContent:
    """Read a model file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a so3lab model, or is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {path}")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {}).get("so3lab", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error}); copy or train it again") from error
    if about is None:
        raise ValueError(f"{path} holds tensors but is not a so3lab model: it lacks the settings")
    if about["format"] > _FORMAT:
        raise ValueError(f"{path} was written by a newer so3lab (format {about['format']}); update so3lab")
    shifts = {int(z): float(value) for z, value in about["energy_shifts_eV"].items()}
    return ModelContent(ModelSettings.from_dict(about["settings"]), tensors, shifts, about["metadata"])


def flat_parameters(parameters: nnx.State) -> dict[str, Any]:
    """Parameters by dotted name, such as ``layers.0.attention.filter_features.radial.first.kernel``."""
    return {".".join(str(part) for part in path): leaf[...] for path, leaf in nnx.to_flat_state(parameters)}


def state_from(settings: ModelSettings, tensors: dict[str, np.ndarray], source: Path) -> nnx.State:
    """Parameters of a network from tensors by name; the inverse of :func:`flat_parameters`.

    Raises:
        ValueError: If a tensor is missing, extra or misshapen.
    """
    flat = dict(nnx.to_flat_state(abstract_network(settings)[1]))
    names = {".".join(str(part) for part in key): key for key in flat}
    if set(names) != set(tensors):
        raise ValueError(f"{source} is damaged: tensors {sorted(set(names) ^ set(tensors))} are missing or extra")
    for name, key in names.items():
        if flat[key].shape != tensors[name].shape:
            raise ValueError(f"{source} is damaged: {name} has shape {tensors[name].shape}, not {flat[key].shape}")
        flat[key] = flat[key].replace(tensors[name])
    return nnx.from_flat_state(list(flat.items()))
