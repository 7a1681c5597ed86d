"""Trained networks of mlff and so3krates-torch as potentials of ours, with a record of where they come from."""

import datetime
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from so3lab.engine.energy_model import Dtype
from so3lab.network.settings import ModelSettings
from so3lab.potential.model_file import flat_parameters
from so3lab.potential.potential import Potential
from so3lab.pretrained import mlff, mlff_v03, names, torch_port
from so3lab.pretrained.arrays import Tree
from so3lab.pretrained.checkpoints import Checkpoint, read_checkpoint
from so3lab.pretrained.inert_pickle import PickleRefused
from so3lab.pretrained.published import (
    LICENCE,
    MEMBER_SHA256,
    SO3LR_CITATION,
    SO3LR_SETTINGS,
    SO3LR_TENSORS,
    UNTRAINED_SPIN,
)
from so3lab.pretrained.torch_archive import read_torch_model

ZIP = b"PK"
"""How a file of ``torch.save`` begins, and no pickle."""
ENERGY_UNITS_V03 = ("eV", "kcal/mol", "kJ/mol", "hartree", "meV")


class _Converted(NamedTuple):
    settings: ModelSettings
    tensors: Tree
    elements: list[int]
    """Those that it was trained on; none where that is not known."""
    program: str
    about: dict[str, Any]


def convert(path: str | Path, *, dtype: Dtype = "float32", energy_unit: str | None = None) -> Potential:
    """A potential from the files of another program, with the same numbers.

    Reads mlff checkpoints (v1.0 with SO3LR's terms, v0.3 without its repulsion), given by their folder
    or parameter file with ``hyperparameters.json`` beside it, and whole models saved by so3krates-torch. No code
    in these files is executed, and neither program nor PyTorch is needed.

    Args:
        path: Folder or file.
        dtype: Precision to compute in.
        energy_unit: What energies of an mlff v0.3 network are in, because its files do not say: one of
            ``ENERGY_UNITS_V03``. Other networks compute in eV.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file is damaged, or the network has something that ours has not.
    """
    path = Path(path).expanduser()
    if path.is_dir() and not (path / "hyperparameters.json").exists():
        models = sorted(path.glob("*.model"))
        path = models[0] if len(models) == 1 else path
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    data = path.read_bytes() if path.is_file() else b""
    if data.startswith(ZIP):
        return potential_from_torch(data, path.name, dtype)
    return _potential(_from_checkpoint(read_checkpoint(path), energy_unit), path.name, dtype)


def potential_from_torch(data: bytes, name: str, dtype: Dtype = "float32") -> Potential:
    """A potential from the content of a model file of so3krates-torch.

    Args:
        data: The whole file.
        name: What to call it in messages.
        dtype: Precision to compute in.

    Raises:
        ValueError: If it is damaged, or the network has something that ours has not.
    """
    try:
        model = read_torch_model(data)
    except PickleRefused as error:
        raise PickleRefused(f"{name} is not read: {error}") from error
    settings = torch_port.settings_from_torch(model)
    tensors = names.from_torch(settings, model.tensors)
    checksum = hashlib.sha256(data).hexdigest()
    if checksum == MEMBER_SHA256:
        # A constant of the data that the port adds to each atom and no calculator of the authors does.
        tensors["energy.shifts"] = np.zeros_like(tensors["energy.shifts"])
    about = {"checksums": {name: f"sha256:{checksum}"}}
    elements = trained_elements(tensors)
    return _potential(_Converted(settings, tensors, elements, "so3krates-torch", about), name, dtype)


def _from_checkpoint(checkpoint: Checkpoint, energy_unit: str | None) -> _Converted:
    """Of either version of mlff; v0.3 describes a stack of modules, v1.0 a flat section of options."""
    about: dict[str, Any] = {"checksums": {file.name: f"sha256:{_sha256(file)}" for file in checkpoint.files}}
    options = checkpoint.hyperparameters
    if "stack_net" not in options:
        if energy_unit not in (None, "eV"):
            raise ValueError(f"energy_unit must be left out or 'eV' for mlff v1.0, got {energy_unit!r}")
        settings = mlff.settings_from_mlff(options)
        if shifts := (options.get("data") or {}).get("energy_shifts"):
            different = sorted(set(shifts.values())) if isinstance(shifts, dict) else [shifts]
            about["energy_shifts_of_the_data"] = different[0] if len(different) == 1 else shifts
        tensors = names.from_mlff(settings, checkpoint.parameters)
        return _Converted(settings, tensors, trained_elements(tensors), "mlff v1.0", about)
    if energy_unit not in ENERGY_UNITS_V03:
        raise ValueError(
            f"energy_unit must be given for a network of mlff v0.3, whose files do not say it: one of "
            f"{', '.join(ENERGY_UNITS_V03)}, got {energy_unit!r}"
        )
    settings = mlff_v03.settings_from_v03(options)
    tensors = mlff_v03.from_v03(settings, checkpoint.parameters, options)
    return _Converted(settings, _in_eV(tensors, energy_unit), [], "mlff v0.3", about)


def _in_eV(tensors: Tree, energy_unit: str) -> Tree:
    """The same network with energies in eV: its last layer and its shifts are scaled."""
    from so3lab.datasets.file_units import ENERGY_UNITS

    factor = ENERGY_UNITS[energy_unit]
    scaled = ("energy.final.kernel", "energy.final.bias", "energy.shifts")
    return {name: array * array.dtype.type(factor) if name in scaled else array for name, array in tensors.items()}


def _potential(converted: _Converted, name: str, dtype: Dtype) -> Potential:
    settings, tensors = converted.settings, converted.tensors
    metadata: dict[str, Any] = {
        "source": f"{name}, converted from {converted.program}",
        "converted": datetime.date.today().isoformat(),
        **converted.about,
    }
    if checksum(tensors) == SO3LR_TENSORS:
        metadata |= {"name": "SO3LR", "licence": LICENCE, "citation": SO3LR_CITATION}
    if _has_untrained_spin(tensors):
        settings = replace(settings, spin_trained=False)
    shifts = {z: 0.0 for z in converted.elements}
    return Potential.from_tensors(settings, tensors, name, dtype, energy_shifts=shifts, metadata=metadata)


def trained_elements(tensors: Tree) -> list[int]:
    """Atomic numbers whose energy scale training has moved away from its start at 1; empty where there is none."""
    scales = tensors.get("energy.scales")
    return [] if scales is None else [int(z) for z in np.flatnonzero(scales != 1.0) if z > 0]


def _has_untrained_spin(tensors: Tree) -> bool:
    values = tensors.get("spin.value")
    return values is not None and hashlib.sha256(values.tobytes()).hexdigest() == UNTRAINED_SPIN


def checksum(tensors: Tree) -> str:
    """The sha256 of parameters, names included, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def is_published_so3lr(potential: Potential) -> bool:
    """Whether a potential is the published network, bit for bit and with the published settings."""
    tensors = {name: np.asarray(value) for name, value in flat_parameters(potential.parameters).items()}
    return potential.settings == SO3LR_SETTINGS and checksum(tensors) == SO3LR_TENSORS


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
