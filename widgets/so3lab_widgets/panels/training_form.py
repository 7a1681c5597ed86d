"""What a training run is made from: fields for its name, network, frames, length and the settings that matter most."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as ipw

from so3lab.network.settings import PRESETS, preset
from so3lab.pretrained.loading import bundled_models
from so3lab.training import GENTLE_LEARNING_RATE, TrainingPlan, TrainingSettings, read_plan

_USUAL = TrainingSettings(epochs=1)
_FEWEST_VALID, _SHARE_VALID, _SHARE_TEST = 20, 0.05, 0.1
_FIELDS = {
    "run": ("Run", 170, 30, "a folder of this name keeps the run: its checkpoints, curve and best model"),
    "preset": ("Network", 160, 58, "tiny learns in seconds, small in minutes, paper is for a graphics card"),
    "start": ("Begin with", 240, 76, "empty for random weights; a model to fine-tune: so3lr, a bundled name, a file"),
    "trainable": ("Learns", 170, 50, "all weights, or only those that turn features into energies"),
    "train": ("Training frames", 205, 118, "frames to learn from"),
    "valid": ("Validation frames", 215, 130, "frames that decide which weights are best; not learned from"),
    "length": ("Length", 130, 48, "how long to train: wall-clock time without pauses, or passes over the frames"),
    "batch_size": ("Batch", 120, 42, "structures per step; fewer give more steps, and more noise"),
    "learning_rate": ("Learning rate", 180, 88, "highest step length; 1e-3 is good for a model that has learned"),
    "energy_weight": ("Energy weight", 190, 104, "share of energies in the loss, 0 to 1; forces have the rest"),
    "seed": ("Seed", 110, 36, "of the choice of frames, the first weights and the order of frames"),
}
"""Name, width, width of the name, and what it means."""


class TrainingForm(ipw.VBox):
    """Fields that say what to train, and how.

    Args:
        folder: Where runs are kept, each in a folder of its own.
        preset: The size of the network at first.

    Attributes:
        fields: All of them by name, each with a ``value``: ``run``, ``preset``, ``start``, ``trainable``, ``train``,
            ``valid``, ``length``, ``unit`` (``minutes`` or ``epochs``), ``batch_size``, ``learning_rate``,
            ``energy_weight``, ``seed``.
        filling: Whether a field that changes now is filled in by the form itself, and is no wish of anybody.

    Raises:
        ValueError: If there is no such preset.
    """

    def __init__(self, folder: Path, preset_name: str = "small"):
        preset(preset_name)
        self.folder, self.filling = folder, False
        self._taken: tuple[str, TrainingPlan] | None = None
        self.fields: dict[str, Any] = {
            "run": _field(ipw.Text, "run", value=""),
            "preset": _field(ipw.Dropdown, "preset", options=list(PRESETS), value=preset_name),
            "start": _field(
                ipw.Combobox, "start", options=["so3lr", *sorted(bundled_models())], placeholder="random weights"
            ),
            "trainable": _field(ipw.Dropdown, "trainable", options=[("all weights", "all"), ("readout", "readout")]),
            "train": _field(ipw.BoundedIntText, "train", value=1, min=1, max=10**7),
            "valid": _field(ipw.BoundedIntText, "valid", value=1, min=1, max=10**7),
            "length": _field(ipw.FloatText, "length", value=2.0, step=1.0),
            "unit": ipw.Dropdown(options=["minutes", "epochs"], layout=ipw.Layout(width="90px")),
            "batch_size": _field(ipw.BoundedIntText, "batch_size", value=_USUAL.batch_size, min=1, max=10**5),
            "learning_rate": _field(ipw.FloatText, "learning_rate", value=_USUAL.learning_rate, step=1e-4),
            "energy_weight": _field(ipw.FloatText, "energy_weight", value=_USUAL.energy_weight, step=0.05),
            "seed": _field(ipw.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
        }
        self.fields["start"].observe(self._on_start, "value")
        wrapped = ipw.Layout(flex_flow="row wrap", align_items="center")
        groups = (
            ("run", "preset", "start", "trainable"),
            ("train", "valid", "length", "unit", "batch_size", "learning_rate", "energy_weight", "seed"),
        )
        super().__init__([ipw.HBox([self.fields[name] for name in group], layout=wrapped) for group in groups])
        self.suggest_name()

    @property
    def values(self) -> tuple[Any, ...]:
        """What stands in the fields."""
        return tuple(one.value for one in self.fields.values())

    @property
    def run_folder(self) -> Path:
        """The folder of the run that the form names.

        Raises:
            ValueError: If the name is none that a folder can have here.
        """
        name = self.fields["run"].value.strip()
        if name in ("", "..") or Path(name).name != name:
            raise ValueError(f"the run must have a name without slashes, such as run-1, got {name!r}")
        return self.folder / name

    def set_frames(self, frames: int) -> None:
        """Suggest numbers of frames for a set of so many: of few, a quarter for validation."""
        valid = max(1, min(_FEWEST_VALID, frames // 4), int(_SHARE_VALID * frames))
        self._fill(valid=valid, train=max(1, frames - valid - int(_SHARE_TEST * frames)))

    def suggest_name(self) -> None:
        """Name a run that there is not yet: as the field says, or with the next number behind it."""
        name = self.fields["run"].value.strip() or "run-1"
        stem, number = re.sub(r"-\d+$", "", name), 1
        while (self.folder / name).exists():
            number += 1
            name = f"{stem}-{number}"
        self._fill(run=name)

    def plan(self, data: str, **units: str | None) -> TrainingPlan:
        """The run that the fields say.

        Args:
            data: Name or file of the set.
            **units: Of the file, where it does not say them.

        Raises:
            ValueError: If a field says nothing that can be trained.
        """
        value = {name: field.value for name, field in self.fields.items()}
        for name in ("length", "learning_rate", "energy_weight"):
            if not math.isfinite(value[name]):
                raise ValueError(f"the {name.replace('_', ' ')} must be a finite number, got {value[name]}")
        if value["unit"] == "epochs" and value["length"] != int(value["length"]):
            raise ValueError(f"epochs must be a whole number, got {value['length']:g}")
        if not 0 <= value["energy_weight"] <= 1:
            raise ValueError(f"the energy weight must be 0 to 1, got {value['energy_weight']:g}")
        epochs = int(value["length"]) if value["unit"] == "epochs" else None
        settings = {name: value[name] for name in ("batch_size", "learning_rate", "energy_weight", "trainable", "seed")}
        settings |= {"epochs": epochs, "minutes": None if epochs is not None else value["length"]}
        settings["force_weight"] = 1.0 - value["energy_weight"]
        plan = {name: value[name] for name in ("train", "valid", "preset")} | {"data": data, **units}
        plan |= {"start": value["start"].strip() or None, "split_seed": value["seed"]}
        if self._taken is None or self._taken[0] != value["run"].strip():
            return TrainingPlan(settings=TrainingSettings(**settings), **plan)
        known = self._taken[1]  # says more than there are fields for
        if settings["energy_weight"] == known.settings.energy_weight:
            settings["force_weight"] = known.settings.force_weight
        return replace(known, settings=replace(known.settings, **settings), **plan)

    def new_folder(self, plan: TrainingPlan) -> Path:
        """The folder that a run of this plan gets: that of its name, unless it holds another run, which stays.

        Raises:
            ValueError: If the name is none that a folder can have here, or what it holds cannot be read.
        """
        if (self.run_folder / "plan.json").is_file() and read_plan(self.run_folder) != plan:
            self.suggest_name()
        return self.run_folder

    def take(self, run: str, plan: TrainingPlan) -> None:
        """Let the fields say what a run was made from; what they have no place for counts as long as its name stays."""
        self._taken = run, plan
        settings = plan.settings
        length, unit = (settings.epochs, "epochs") if settings.epochs else (settings.minutes, "minutes")
        values = {
            "start": plan.start or "", "run": run, "preset": plan.preset, "trainable": settings.trainable,
            "train": plan.train, "valid": plan.valid, "length": length, "unit": unit,
            "batch_size": settings.batch_size, "learning_rate": settings.learning_rate,
            "energy_weight": settings.energy_weight, "seed": settings.seed,
        }  # fmt: skip
        self._fill(**values)

    def _fill(self, **values: Any) -> None:
        self.filling = True
        try:
            for name, value in values.items():
                self.fields[name].value = value
        finally:
            self.filling = False

    def _on_start(self, change: Any) -> None:
        """A model that has learned brings its own network, and wants small steps."""
        learned = bool(change.new.strip())
        self.fields["preset"].disabled = learned
        rate = self.fields["learning_rate"]
        if learned and rate.value == _USUAL.learning_rate:
            rate.value = GENTLE_LEARNING_RATE
        elif not learned and rate.value == GENTLE_LEARNING_RATE:
            rate.value = _USUAL.learning_rate


def _field(kind: Any, name: str, **options: Any) -> Any:
    words, width, words_width, meaning = _FIELDS[name]
    return kind(
        description=words,
        tooltip=meaning,
        layout=ipw.Layout(width=f"{width}px"),
        style={"description_width": f"{words_width}px"},
        **options,
    )
