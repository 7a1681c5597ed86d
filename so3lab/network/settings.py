"""The choices that define a network, and their named presets."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from so3lab.functions.radial import CutoffFunction, RadialBasis
from so3lab.functions.spherical import check_degrees

MAX_ATOMIC_NUMBER = 118

Activation = Literal["silu", "identity"]
Electrostatics = Literal["none", "exact", "wolf", "compat"]
Normalization = Literal["mean_neighbors", "sqrt_width", "none"]
LayerForm = Literal["v1.0", "v0.3"]


@dataclass(frozen=True)
class ModelSettings:
    """Everything that determines the shape and the formulas of a SO3krates network.

    Saved as JSON in the model file; together with the weights it rebuilds the model.
    """

    num_features: int = 64
    """Width F of the invariant features; a multiple of 4, of ``num_heads`` and of the number of degrees."""
    num_layers: int = 3
    """Number of layers T; a layer lets an atom see one more cutoff radius far."""
    num_heads: int = 4
    """Heads of the attention on features; the one on Euclidean variables has one head per degree."""
    degrees: tuple[int, ...] = (1, 2, 3, 4)
    """Degrees l of the Euclidean variables, each from 1 to 4."""
    cutoff: float = 5.0
    """Radius in Å within which atoms see each other."""
    cutoff_function: CutoffFunction = "phys"
    radial_basis: RadialBasis = "bernstein"
    num_radial: int = 32
    """Number of radial basis functions K."""
    normalization: Normalization = "mean_neighbors"
    """What attention weights are divided by: ``mean_neighbors``, the root of the head's width, or nothing."""
    mean_neighbors: float = 1.0
    """Mean number of neighbours in the training data; set from the data when training starts."""
    layer_form: LayerForm = "v1.0"
    """Where layers normalise and what their residual MLPs are: as in mlff v1.0 and SO3LR, or as in v0.3, the program
    of the paper."""
    layer_normalization: tuple[bool, bool] = (False, False)
    """Whether features are normalised after the attention and at the end of a layer (v1.0); or a copy of them for the
    attention to read, and for the exchange (v0.3)."""
    residual_mlp: tuple[bool, bool] = (True, False)
    """Whether a residual MLP follows the attention, and the exchange. That of v0.3 ends in a dense layer outside of
    its residual, and has no biases."""
    qk_activation: Activation = "identity"
    """Function applied to queries and keys."""
    energy_hidden: int | None = 64
    """Width of the hidden layer of the energy head; None for none."""
    energy_activation: Activation = "silu"
    learn_atomic_scales: bool = True
    learn_atomic_shifts: bool = True
    charge_embedding: bool = False
    """Whether the total charge enters the features."""
    spin_embedding: bool = False
    """Whether the number of unpaired electrons enters the features."""
    repulsion: bool = True
    """Whether a screened nuclear repulsion below 1.5 Å is added (:mod:`so3lab.network.pairwise`)."""
    electrostatics: Electrostatics = "none"
    """Energy of predicted partial charges: no such term; ``exact`` (no truncation for molecules, Ewald sum for
    cells); ``wolf`` (truncated, with its self term); ``compat`` (truncated as in the published SO3LR program)."""
    screening_length: float = 4.0
    """Length σ in Å of the interaction erf(r/σ)/r of partial charges."""
    dispersion: bool = False
    """Whether a dispersion energy from predicted Hirshfeld ratios is added."""
    dispersion_scale: float = 1.2
    """Factor on the radius below which dispersion is damped."""
    long_range_cutoff: float | None = None
    """Radius in Å at which dispersion and truncated electrostatics end; None for no truncation in molecules, and
    12 Å in cells."""
    dispersion_damping: float = 2.0
    """Width in Å of the window before ``long_range_cutoff`` in which dispersion is switched off."""
    spin_trained: bool = True
    """Whether training data had unpaired electrons; if not, structures with any are refused."""
    zero_energy_at_init: bool = False
    """Start with zero energies: the last kernel of the energy head is zero."""
    identity_at_init: bool = False
    """Start with layers that change nothing: values, MLP outputs and exchange are zero."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "degrees", tuple(self.degrees))
        object.__setattr__(self, "layer_normalization", tuple(self.layer_normalization))
        object.__setattr__(self, "residual_mlp", tuple(self.residual_mlp))
        check_degrees(self.degrees)
        for name in ("num_features", "num_layers", "num_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer, got {getattr(self, name)}")
        for divisor, what in (
            (4, "4"),
            (self.num_heads, "num_heads"),
            (len(self.degrees), "the number of degrees"),
        ):
            if self.num_features % divisor:
                raise ValueError(
                    f"num_features must be a multiple of {what} ({divisor}), got {self.num_features}; "
                    f"try {-(-self.num_features // divisor) * divisor}"
                )
        if self.cutoff <= 0 or self.mean_neighbors <= 0:
            raise ValueError(
                f"cutoff (Å) and mean_neighbors must be positive, got {self.cutoff} and {self.mean_neighbors}"
            )
        for name, choices in (
            ("cutoff_function", CutoffFunction),
            ("radial_basis", RadialBasis),
            ("normalization", Normalization),
            ("layer_form", LayerForm),
            ("qk_activation", Activation),
            ("energy_activation", Activation),
            ("electrostatics", Electrostatics),
        ):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {get_args(choices)}, got {getattr(self, name)!r}")
        if self.identity_at_init and self.layer_form == "v0.3" and any(self.residual_mlp):
            raise ValueError(
                "identity_at_init must be False with residual MLPs of layer_form 'v0.3', whose last dense layer lies "
                "outside of the residual; use layer_form 'v1.0'"
            )
        self._check_long_range()

    def _check_long_range(self) -> None:
        for name in ("screening_length", "dispersion_scale", "dispersion_damping"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        shortest = self.dispersion_damping if self.dispersion else 0.0
        if self.long_range_cutoff is not None and not self.long_range_cutoff > shortest:
            raise ValueError(
                f"long_range_cutoff (Å) must be larger than {shortest:g}, the window in which dispersion is "
                f"switched off, got {self.long_range_cutoff}; 12 is usual, None means no truncation"
            )

    @property
    def knows_charge(self) -> bool:
        """Whether the total charge of a structure has a part in its energy."""
        return self.charge_embedding or self.electrostatics != "none"

    @property
    def attentions(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """The two attentions of a layer with their numbers of heads."""
        return ("features", self.num_heads), ("euclidean", len(self.degrees))

    def attention_norm(self, heads: int) -> float:
        """The constant that attention weights with this many heads are divided by."""
        if self.normalization == "mean_neighbors":
            return self.mean_neighbors
        return (self.num_features / heads) ** 0.5 if self.normalization == "sqrt_width" else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelSettings":
        """Inverse of :meth:`to_dict`.

        Raises:
            ValueError: If a field is unknown: the file comes from another version.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"model settings hold unknown fields {sorted(unknown)}; update so3lab to read this file")
        restored: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**restored)


PRESETS: dict[str, ModelSettings] = {
    "tiny": ModelSettings(
        num_features=24, num_layers=2, num_heads=2, degrees=(1, 2, 3), num_radial=16, energy_hidden=24
    ),
    "small": ModelSettings(),
    "paper": ModelSettings(num_features=128, energy_hidden=128),
}


def preset(name: str, **changes: Any) -> ModelSettings:
    """Settings by name: ``tiny`` (seconds), ``small`` (minutes on a laptop), ``paper`` (a GPU).

    Args:
        name: Which preset.
        **changes: Fields to change.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {sorted(PRESETS)}, got {name!r}")
    return replace(PRESETS[name], **changes)
