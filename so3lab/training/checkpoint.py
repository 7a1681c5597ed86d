"""Training checkpoints: everything a run needs to go on exactly where it was, in an Orbax folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orbax.checkpoint as ocp

from so3lab.training.step import TrainState


class TrainingProgress(NamedTuple):
    """What the loop remembers beside the arrays; plain values."""

    epoch: int
    seconds: float
    best_loss: float
    best_epoch: int
    history: list[dict[str, Any]]
    setbacks: int = 0
    """How often what had been learned was lost, and the best weights were gone back to."""


class Checkpoint(NamedTuple):
    """A saved moment at the end of an epoch."""

    state: TrainState
    best: Any
    """Weights as one vector."""
    progress: TrainingProgress


_IDENTITY = "fingerprint"
"""Its key in checkpoints, as in those of older versions."""


class Checkpoints:
    """The newest two checkpoints of a run, in a folder.

    A checkpoint appears complete or not at all; the identity keeps runs with other data or settings
    from being continued by mistake.
    """

    def __init__(self, folder: str | Path, identity: dict[str, Any]):
        self.folder = Path(folder).resolve()
        self._identity = json.loads(json.dumps(identity))
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write in the background; returns as soon as the arrays are copied."""
        about = {_IDENTITY: self._identity, "progress": checkpoint.progress._asdict()}
        arrays = {"state": checkpoint.state, "best": checkpoint.best}
        items = ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), about=ocp.args.JsonSave(about))
        self._manager.save(checkpoint.progress.epoch, args=items)

    def restore(self, template: Callable[[], tuple[TrainState, Any]]) -> Checkpoint | None:
        """The newest checkpoint, or None.

        Args:
            template: Gives a state and weights of the right shapes.

        Raises:
            ValueError: If the folder belongs to a run with other settings or data.
        """
        epoch = self._manager.latest_step()
        if epoch is None:
            return None
        about = self._manager.restore(epoch, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
        changed = [key for key in self._identity if about[_IDENTITY].get(key) != self._identity[key]]
        if changed:
            raise ValueError(
                f"{self.folder} belongs to a run with other {', '.join(changed)}; "
                "resume with the same settings and data, or start anew with another output name"
            )
        state, best = template()
        target = ocp.args.StandardRestore({"state": state, "best": best})
        arrays = self._manager.restore(epoch, args=ocp.args.Composite(arrays=target))["arrays"]
        return Checkpoint(TrainState(*arrays["state"]), arrays["best"], TrainingProgress(**about["progress"]))

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()
