"""What a training run is made from: data, split, network, start and settings, in plain values that a file can hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from so3lab import datasets
from so3lab.datasets import Dataset, Split
from so3lab.datasets.frame_hashes import frame_hashes
from so3lab.engine.energy_model import Dtype
from so3lab.machine.files import atomic_write
from so3lab.network.settings import ModelSettings, preset
from so3lab.training.settings import TrainingSettings

PLAN = "plan.json"


@dataclass(frozen=True)
class TrainingPlan:
    """What a run is made from.

    Raises:
        ValueError: If there is no such preset.
    """

    data: str
    """Name of a set, or a file, as `so3lab.datasets.load` takes it."""
    train: int
    """Frames to learn from."""
    valid: int
    """Frames that decide which weights are best."""
    settings: TrainingSettings
    preset: str = "small"
    """Size of the network; not used where the run begins with another model."""
    start: str | None = None
    """The model that the run begins with, by name or file; None for random weights."""
    split_seed: int = 0
    """Of the choice of frames."""
    energy_unit: str | None = None
    length_unit: str | None = None
    keys: Mapping[str, str] | None = None
    """Names that the file uses, as `so3lab.datasets.load` takes them."""
    test: int | None = None
    """Frames kept aside; None for all the rest."""
    groups: str | None = None
    """Label of frames that stay together when they are split."""
    cutoff: float | None = None
    """Å within which atoms see each other; None for that of the preset."""
    dtype: Dtype = "float32"
    """Precision to train in."""
    also: tuple[str, ...] = ()
    """Further sets, by name or file, all of whose frames are learned from; their files say their units."""

    def __post_init__(self) -> None:
        self.network()

    def network(self) -> ModelSettings:
        """The network of a run that begins with random weights."""
        return preset(self.preset, **({} if self.cutoff is None else {"cutoff": self.cutoff}))

    def load_data(self) -> Dataset:
        """The set.

        Raises:
            ValueError: If it cannot be understood.
            OSError: If it cannot be read.
        """
        return datasets.load(self.data, energy_unit=self.energy_unit, length_unit=self.length_unit, keys=self.keys)

    def split(self, data: Dataset) -> tuple[Split, dict[str, Any]]:
        """The parts of a set, and what the metadata of a model say of them."""
        parts = datasets.split(data, self.train, self.valid, self.test, seed=self.split_seed, groups=self.groups)
        told: dict[str, Any] = {"train": self.train, "valid": self.valid, "test": self.test, "seed": self.split_seed}
        told |= {"groups": self.groups, "test_frames": sorted(parts.test.tolist())}
        return parts, told | ({"also": list(self.also)} if self.also else {})

    def training_frames(self, data: Dataset, parts: Split) -> Dataset:
        """What is learned from: the training frames of a set, and all frames of the further ones.

        Raises:
            ValueError: If a further set has another level of theory, or frames that validate or test.
            OSError: If one cannot be read.
        """
        frames = data.select(parts.train)
        kept = frame_hashes(data.select(np.concatenate([parts.valid, parts.test])))
        for name in self.also:
            further = datasets.load(name)
            levels = [one.meta.get("level_of_theory") for one in (data, further)]
            if all(levels) and levels[0] != levels[1]:
                raise ValueError(
                    f"sets that are learned from together must have one level of theory, but {data.name!r} has "
                    f"{levels[0]}, and {name!r} has {levels[1]}"
                )
            known = int(np.isin(frame_hashes(further), kept).sum())
            if known:
                raise ValueError(
                    f"a further set must hold no frame that validates or tests, but {known} of the {len(further)} "
                    f"frames of {name!r} do so in {data.name!r}; leave that set out"
                )
            frames = datasets.joined(frames, further)
        return frames

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingPlan":
        """Inverse of :meth:`to_dict`; what older plans do not say is as it was usual then.

        Raises:
            ValueError: If something is missing or unknown.
        """
        try:
            further = {"settings": TrainingSettings(**values["settings"]), "also": tuple(values.get("also", ()))}
            return cls(**{**values, **further})
        except (KeyError, TypeError) as error:
            raise ValueError(f"a plan of a training run lacks something, or has something unknown: {error}") from None

    def differences(self, other: "TrainingPlan") -> list[str]:
        """Names of what another plan says otherwise."""
        mine, theirs = self.to_dict(), other.to_dict()
        settings = [name for name in mine["settings"] if mine["settings"][name] != theirs["settings"][name]]
        named = (one.name for one in fields(self) if one.name != "settings")
        return [*(name for name in named if mine[name] != theirs[name]), *settings]


def read_plan(folder: Path | str) -> TrainingPlan:
    """What the run in a folder is made from.

    Raises:
        FileNotFoundError: If there is no run.
        ValueError: If its plan cannot be read.
    """
    path = Path(folder) / PLAN
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no training run: it has no {PLAN}")
    try:
        return TrainingPlan.from_dict(json.loads(path.read_text("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); begin another run") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from None


def agreed_plan(folder: Path, plan: TrainingPlan | None) -> TrainingPlan:
    """The plan of the run in a folder, written down where it is new.

    Raises:
        ValueError: If the folder holds another run, something else, or nothing where there is no plan.
    """
    if (folder / PLAN).is_file():
        known = read_plan(folder)
        if plan is not None and plan != known:
            raise ValueError(
                f"{folder} holds another run, made from another {', '.join(plan.differences(known))}; choose another "
                "name, or go on with that one as it is"
            )
        return known
    if plan is None:
        raise ValueError(f"{folder} holds no run to go on with; say what to train")
    if any(one.is_dir() and one.name.isdigit() for one in folder.iterdir()):
        raise ValueError(
            f"{folder} holds checkpoints of an older so3lab, without {PLAN}, that nobody can go on with; its model "
            "can be trained further: choose another name, and begin with its file"
        )
    with atomic_write(folder / PLAN) as file:
        file.write_text(json.dumps(plan.to_dict(), indent=1), encoding="utf-8")
    return plan
