"""Which files a checkpoint of mlff consists of, and how its parameters and hyperparameters are read."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from so3lab.pretrained.arrays import Tree, arrays_from_pickle, flat_tree
from so3lab.pretrained.inert_pickle import PickleRefused

HYPERPARAMETERS = "hyperparameters.json"
PARAMETERS = "params.pkl"
STEP = "ckpt_"
"""How mlff names the Orbax folder of a training step, before its number."""


class Checkpoint(NamedTuple):
    """The content of an mlff checkpoint."""

    parameters: Tree
    """Arrays by path below ``params``."""
    hyperparameters: dict[str, Any]
    files: tuple[Path, ...]
    """What was read, for checksums; folders are left out."""


def read_checkpoint(path: Path) -> Checkpoint:
    """An mlff checkpoint: its folder, or its parameter file with ``hyperparameters.json`` beside it.

    A folder holds ``hyperparameters.json`` and either ``params.pkl`` or the Orbax folders of a training run, of
    which the last step is read.

    Raises:
        FileNotFoundError: If a file is missing; the sentence says which.
        ValueError: If a file is damaged or holds something else.
    """
    folder = path if path.is_dir() else path.parent
    described = folder / HYPERPARAMETERS
    if path.is_dir() and not described.is_file() and path.name.startswith(STEP):
        described = next((f / HYPERPARAMETERS for f in path.parents if (f / HYPERPARAMETERS).is_file()), described)
    if not described.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {HYPERPARAMETERS}, which says what the network is; copy it beside the parameters"
        )
    hyperparameters = _json(described)
    parameters = path if path.is_file() else _parameters_in(path)
    tree = _orbax(parameters) if parameters.is_dir() else _pickle(parameters)
    files = (described,) if parameters.is_dir() else (parameters, described)
    return Checkpoint(_below_params(tree), hyperparameters, files)


def _parameters_in(folder: Path) -> Path:
    """``params.pkl``, or the parameters of the newest training step."""
    if (folder / PARAMETERS).is_file():
        return folder / PARAMETERS
    steps = [folder] if folder.name.startswith(STEP) else []
    for place in (folder / "checkpoints", folder):
        steps += place.glob(f"{STEP}*")
    numbered = [(_step_number(step), step) for step in steps if _step_number(step) is not None]
    if not numbered:
        raise FileNotFoundError(f"{folder} holds neither {PARAMETERS} nor training steps (checkpoints/{STEP}...)")
    newest = max(numbered)[1]
    for item in ("params", "state"):
        if (newest / item).is_dir():
            return newest / item
    raise FileNotFoundError(f"{newest} holds neither params nor state; is the checkpoint complete?")


def _step_number(step: Path) -> int | None:
    number = step.name.removeprefix(STEP)
    return int(number) if step.is_dir() and number.isdecimal() else None


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}, not named hyperparameters")
    return values


def _pickle(path: Path) -> Tree:
    try:
        return arrays_from_pickle(path.read_bytes())
    except PickleRefused as error:
        raise PickleRefused(f"{path} is not read: {error}") from error


def _orbax(folder: Path) -> Tree:
    """The arrays of an Orbax folder; of a whole training state, the parameters that validated best."""
    import orbax.checkpoint as ocp

    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            structure = checkpointer.metadata(folder.resolve()).item_metadata
            tree = getattr(structure, "tree", structure)
            wanted = _map_leaves(tree, lambda _: ocp.RestoreArgs(restore_type=np.ndarray))
            values = checkpointer.restore(folder.resolve(), restore_args=wanted)
    except Exception as error:  # Orbax and its storage raise whatever they stumble over
        raise ValueError(f"{folder} is not a readable Orbax checkpoint ({error!s:.200})") from error
    if "valid_params" in values:
        values = values["valid_params"]
    return flat_tree(values)


def _map_leaves(tree: Any, change: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _map_leaves(value, change) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_map_leaves(value, change) for value in tree]
    return change(tree)


def _below_params(tree: Tree) -> Tree:
    """Without the top key ``params``, which Flax adds."""
    return {name.removeprefix("params/"): array for name, array in tree.items()}
