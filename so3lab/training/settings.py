"""The choices that define a training run."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Optimizer = Literal["muon", "amsgrad", "adamw"]
Trainable = Literal["all", "readout"]
GENTLE_LEARNING_RATE = 1e-3
"""Of a network that has learned already, which the usual rate, for random weights, would destroy."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained; give either ``epochs`` or ``minutes``.

    A run by ``epochs`` is reproducible bit for bit on the same device; one by ``minutes`` lets the
    learning rate follow the clock and uses whatever speed the machine has.
    """

    epochs: int | None = None
    """Passes over the training frames."""
    minutes: float | None = None
    """Wall-clock time to train; compilation comes before and is not counted."""
    batch_size: int = 4
    """Structures per step. On CPUs few are best (docs/learning.md); a graphics card has room for more."""
    learning_rate: float = 1e-2
    """Peak learning rate, reached after the warm-up; 4e-3 is good for ``amsgrad``."""
    final_learning_rate: float = 2e-5
    """Learning rate at the end of the cosine decay."""
    warmup_steps: int = 100
    optimizer: Optimizer = "muon"
    """``muon``: orthogonal steps of matrices, all else by Adam (:mod:`so3lab.training.muon`)."""
    weight_decay: float = 0.0
    """Decoupled weight decay per unit of learning rate."""
    energy_weight: float = 0.05
    """Weight of the error of the energy, in (eV)² per atom."""
    force_weight: float = 0.95
    """Weight of the error of the forces, in (eV/Å)² per component."""
    stress_weight: float = 0.05
    """Weight of the error of the stress times the volume, in (eV)² per atom and entry, of frames that have a stress; 0
    leaves stresses out."""
    huber_delta: float = 0.01
    """Error in eV/Å (for energies: eV over the root of the atoms) up to which it counts by its square, and beyond
    linearly. Large: plain mean squares; small: mean lengths, which is what a mean absolute error measures."""
    gradient_clip: float = 10.0
    """Largest global norm of the gradient; longer ones are shortened to it."""
    ema_decay: float = 0.998
    """Decay per step of the running average of the weights, on which validation is done."""
    trainable: Trainable = "all"
    """Which weights learn: all, or those of the readout alone (energies, charges, volume ratios), for fine-tuning."""
    patience_epochs: int | None = None
    """Stop when the validation loss has not improved for so many epochs; None never stops."""
    seed: int = 0
    """Of the initial weights and the order of frames."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError(f"give either epochs or minutes, got epochs={self.epochs} and minutes={self.minutes}")
        for name in (
            "epochs",
            "minutes",
            "batch_size",
            "learning_rate",
            "gradient_clip",
            "patience_epochs",
            "huber_delta",
        ):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        for name in (
            "final_learning_rate",
            "warmup_steps",
            "weight_decay",
            "energy_weight",
            "force_weight",
            "stress_weight",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not self.energy_weight + self.force_weight > 0:
            raise ValueError("energy_weight and force_weight must not both be 0")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        for name, choices in (("optimizer", get_args(Optimizer)), ("trainable", get_args(Trainable))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
