"""The hub: a trained force field as one immutable object that predicts, saves, loads and lends its energy function."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab.engine.compressed_filters import Fit, compress_filters, explain_path
from so3lab.engine.energy_model import (
    Dtype,
    EnergyForces,
    EnergyModel,
    FastParameters,
    embedding_function,
    energy_and_forces,
    energy_function,
    fast_parameters,
    network_definition,
    precision,
    run_network,
)
from so3lab.engine.forces import ForceEvaluator
from so3lab.machine.checksum import checksum
from so3lab.network.pairwise.long_range import explain_far, long_range_needs, needs_mesh, with_long_range
from so3lab.network.settings import Electrostatics, ModelSettings
from so3lab.network.so3krates import AttentionWeights, So3krates
from so3lab.potential.checks import check_electrons, check_elements
from so3lab.potential.model_file import (
    ModelContent,
    flat_parameters,
    read_model,
    state_from,
    write_model,
)
from so3lab.structures.electrons import with_electrons
from so3lab.structures.graph import Graph, build_graph
from so3lab.structures.neighbors import check_finite, complete_cell
from so3lab.structures.plausibility import check_no_overlap

FILTER_TOLERANCE: dict[str, float] = {"float32": 1e-6, "float64": 1e-11}
"""Largest error of the fast radial filters, relative to the largest filter, with which they are used."""

ENERGY_TERMS = ("learned", "repulsion", "electrostatics", "dispersion")
"""Parts of an energy, in the order in which they are shown."""


class Result(NamedTuple):
    """Prediction for one structure, in NumPy and ASE's units and conventions."""

    energy: float
    """Total energy in eV, element shifts included."""
    forces: Float[np.ndarray, "atoms 3"]
    """eV/Å."""
    stress: Float[np.ndarray, " 6"] | None
    """eV/Å³, Voigt order xx, yy, zz, yz, xz, xy; None without a periodic cell."""
    atomic_energies: Float[np.ndarray, " atoms"]
    """eV, element shifts included; they sum to ``energy``."""
    energy_terms: dict[str, float]
    """Energy by origin in eV: ``learned`` (element shifts included), ``repulsion``, ``electrostatics``,
    ``dispersion``, those that the model has; they sum to ``energy``."""
    partial_charges: Float[np.ndarray, " atoms"] | None
    """e; they sum to the total charge. None when the model has no electrostatics."""
    dipole: Float[np.ndarray, " 3"] | None
    """Sum of charge times position in e Å, about the origin (which matters for ions only); None for cells."""
    hirshfeld_ratios: Float[np.ndarray, " atoms"] | None
    """Volume of each atom over that of the free atom; None when the model has no dispersion."""
    attention: AttentionWeights | None
    """Attention weights of all layers on ``graph``'s pairs when asked for."""
    graph: Graph | None
    """The arrays the network saw; None where they never left the device."""


class _Wanted(NamedTuple):
    """What a prediction keeps of a network's output."""

    atomic_energies: Float[Array, " atoms"]
    terms: dict[str, Float[Array, " structures"]]
    partial_charges: Float[Array, " atoms"] | None
    hirshfeld_ratios: Float[Array, " atoms"] | None
    attention: AttentionWeights | None


@functools.lru_cache(maxsize=32)
def _prediction(settings: ModelSettings, with_attention: bool = False) -> Callable:
    """Energies with all that a prediction keeps, as a function of (parameters, graph, strain); the same object for the
    same settings."""

    def energy(parameters, graph: Graph, strain=None):
        output = run_network(settings, parameters, graph, strain)
        attention = output.attention if with_attention else None
        return output.energies, _Wanted(
            output.atomic_energies, output.terms, output.partial_charges, output.hirshfeld_ratios, attention
        )

    return energy


@functools.partial(jax.jit, static_argnames=("settings", "with_strain", "with_attention"))
def predict_graph(settings: ModelSettings, parameters, graph: Graph, with_strain: bool, with_attention: bool):
    """Energies and forces of arrays that are made already; a program for each of their shapes."""
    return energy_and_forces(_prediction(settings, with_attention), parameters, graph, with_strain=with_strain)


@dataclass(frozen=True)
class Potential:
    """A SO3krates force field: settings, parameters, element shifts and where they come from.

    Call it with a structure to get a :class:`Result`. The network's own numbers are relative to the
    element shifts, which are added in float64 outside, so that float32 loses nothing to large totals.
    """

    settings: ModelSettings
    parameters: nnx.State = field(repr=False)
    energy_shifts: dict[int, float] = field(default_factory=dict)
    """eV per atom of each element the model was trained on."""
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    """Training provenance, data statistics, citation."""
    dtype: Dtype = "float32"

    @classmethod
    def initial(cls, settings: ModelSettings, seed: int = 0, dtype: Dtype = "float32", **more: Any) -> "Potential":
        """An untrained potential with random weights."""
        with precision("float32"):
            parameters = nnx.split(So3krates(settings, rngs=nnx.Rngs(jax.random.key(seed))))[1]
        return cls(settings, parameters, **more).astype(dtype)

    @classmethod
    def from_tensors(
        cls,
        settings: ModelSettings,
        tensors: dict[str, np.ndarray],
        source: str | Path,
        dtype: Dtype = "float32",
        **more: Any,
    ) -> "Potential":
        """A potential from weights by name; the inverse of :func:`~so3lab.potential.model_file.flat_parameters`.

        Args:
            settings: What the network is.
            tensors: Every parameter by its dotted name.
            source: Where they come from, for error messages.
            dtype: Precision to compute in.
            **more: ``energy_shifts`` and ``metadata``.

        Raises:
            ValueError: If a tensor is missing, extra or misshapen.
        """
        return cls(settings, state_from(settings, tensors, Path(source)), **more).astype(dtype)

    def astype(self, dtype: Dtype) -> "Potential":
        """The same potential computing in another precision."""
        with precision(dtype):
            parameters = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), dtype), self.parameters)
        return replace(self, parameters=parameters, dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Weights as NumPy holds them; what was made of them is made again."""
        plain = {known.name: getattr(self, known.name) for known in fields(self)}
        return plain | {"parameters": jax.tree.map(np.asarray, self.parameters)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        with precision(state["dtype"]):  # else JAX would make single precision of it
            parameters = jax.tree.map(lambda leaf: jnp.asarray(leaf, state["dtype"]), state["parameters"])
        self.__dict__.update(state | {"parameters": parameters})

    @property
    def network(self) -> So3krates:
        """The network as a Flax NNX module, to look inside."""
        return nnx.merge(network_definition(self.settings), self.parameters)

    @functools.cached_property
    def checksum(self) -> str:
        """Tells this potential from others by settings, weights and element shifts, not by its precision alone."""
        about = f"{self.settings.to_dict()} {sorted(self.energy_shifts.items())}"
        weights = (np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(self.parameters))
        return checksum(np.frombuffer(about.encode(), np.uint8), *weights)

    @functools.cached_property
    def filter_fit(self) -> Fit:
        """Radial filters in the fast form that dynamics and minimization use, with the error of the fit."""
        parameters = flat_parameters(self.parameters)
        _check_finite(parameters)
        with precision(self.dtype):
            return compress_filters(self.settings, parameters, self.dtype)

    @property
    def uses_compressed_filters(self) -> bool:
        """Whether the fast form reproduces the filters to rounding, so that it is used."""
        fit = self.filter_fit
        return fit.largest_error < FILTER_TOLERANCE[self.dtype] * max(fit.largest_filter, 1.0)

    @property
    def energy_model(self) -> EnergyModel:
        """The energy function with its parameters, in the fast form, for dynamics and minimization."""
        energy, needs = energy_function(self.settings), long_range_needs(self.settings)
        return EnergyModel(
            energy, self.fast_parameters, self.settings.cutoff, self.dtype, needs, embedding_function(self.settings)
        )

    @functools.cached_property
    def plain_model(self) -> EnergyModel:
        """The network as it stands, in double precision: slower, and differentiable as often as one likes."""
        exact, needs = self.astype("float64"), long_range_needs(self.settings)
        return EnergyModel(energy_function(self.settings), exact.parameters, self.settings.cutoff, "float64", needs)

    @functools.cached_property
    def fast_parameters(self) -> nnx.State | FastParameters:
        """Parameters with radial filters in their fast form where that is exact to rounding, as they are elsewhere."""
        if not self.uses_compressed_filters:
            return self.parameters
        return fast_parameters(self.parameters, self.filter_fit.filters)

    def explain(self, atoms: ase.Atoms) -> dict[str, str]:
        """Which path a structure takes in dynamics and minimization, and why, one sentence for each part."""
        self.check_structure(atoms)
        path = explain_path(self.settings, self.filter_fit, self.uses_compressed_filters, atoms)
        return path | explain_far(atoms, long_range_needs(self.settings))

    def with_electrostatics(self, mode: Electrostatics, long_range_cutoff: float | None = None) -> "Potential":
        """The same weights with the charges' energy computed in another mode.

        Args:
            mode: ``"exact"``, ``"wolf"`` or ``"compat"``, see :mod:`so3lab.network.pairwise.electrostatics`.
            long_range_cutoff: Å, of dispersion and truncated electrostatics; None for no truncation in
                molecules, and 12 Å in cells.

        Raises:
            ValueError: If the model predicts no charges, or the mode does not exist.
        """
        if self.settings.electrostatics == "none" or mode == "none":
            raise ValueError(
                f"mode must be 'exact', 'wolf' or 'compat', for a model with electrostatics; got {mode!r} for a "
                f"model whose electrostatics is {self.settings.electrostatics!r}"
            )
        settings = replace(self.settings, electrostatics=mode, long_range_cutoff=long_range_cutoff)
        return replace(self, settings=settings)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers the model was trained on; empty when that is not known."""
        return tuple(sorted(self.energy_shifts))

    @property
    def trained_charges(self) -> tuple[float, ...] | None:
        """Total charges of the frames that the model was trained on; None for one whose training is not known."""
        if "dataset" not in self.metadata:
            return None
        return tuple(self.metadata.get("total_charges", (0.0,)))

    @property
    def trained_spins(self) -> tuple[float, ...] | None:
        """Numbers of unpaired electrons of the frames that the model was trained on; None where that is not known."""
        spins = self.metadata.get("unpaired_electrons")
        return None if spins is None else tuple(spins)

    def check_elements(self, atoms: ase.Atoms) -> None:
        """Raise ``ValueError`` if a structure holds an element the model never saw."""
        check_elements(atoms, self.elements, self.settings)

    def check_composition(self, atoms: ase.Atoms) -> None:
        """Raise ``ValueError`` if the model can say nothing about these elements, this charge or these unpaired
        electrons, wherever the atoms are."""
        check_elements(atoms, self.elements, self.settings)
        check_electrons(atoms, self.settings, self.trained_charges, self.trained_spins)

    def check_structure(self, atoms: ase.Atoms) -> None:
        """Raise ``ValueError`` if a structure is one that the model can say nothing about.

        Besides its composition (:meth:`check_composition`) these are positions that are no numbers, and atoms on top of
        each other or of their images.
        """
        self.check_composition(atoms)
        check_finite(atoms.positions)
        check_no_overlap(atoms)

    def shift_of(self, atoms: ase.Atoms) -> float:
        """Sum of the element shifts of a structure in eV."""
        return float(sum(self.energy_shifts.get(int(z), 0.0) for z in atoms.numbers))

    def __call__(
        self,
        atoms: ase.Atoms,
        *,
        charge: float | None = None,
        attention: bool = False,
    ) -> Result:
        """Energy, forces and all else that the model predicts of one structure.

        Args:
            atoms: The structure.
            charge: Total charge in e; default: what the structure says (:func:`so3lab.structures.total_charge`), and 0
                where it says nothing.
            attention: Whether attention weights are wanted.

        Raises:
            ValueError: If the structure is empty, not finite, or one that the model can say nothing about
                (:meth:`check_structure`), or if the numbers that come out are not finite.
        """
        if charge is not None:
            atoms = with_electrons(atoms, charge=charge)
        self.check_structure(atoms)
        return self._predict_batch([atoms], attention)[0]

    def predict(self, structures: Sequence[ase.Atoms], *, attention: bool = False) -> list[Result]:
        """Results of several structures, of any sizes, in one batch."""
        for atoms in structures:
            self.check_structure(atoms)
        needs = long_range_needs(self.settings)
        if any(needs_mesh(atoms, needs) for atoms in structures):  # a mesh is one structure's
            return [self(atoms, attention=attention) for atoms in structures]
        return self._predict_batch(structures, attention)

    def _predict_batch(self, structures: Sequence[ase.Atoms], attention: bool) -> list[Result]:
        graph = build_graph(structures, self.settings.cutoff, dtype=self.dtype)
        graph = with_long_range(graph, structures, long_range_needs(self.settings))
        with precision(self.dtype):
            raw = predict_graph(self.settings, self.parameters, graph, graph.cells is not None, attention)
        stops = np.cumsum([len(atoms) for atoms in structures])
        return [
            self.result_of(atoms, raw, graph, number, slice(stop - len(atoms), stop))
            for number, (atoms, stop) in enumerate(zip(structures, stops, strict=True))
        ]

    def evaluator(self, atoms: ase.Atoms, least_capacity: int = 0) -> ForceEvaluator:
        """Forces of one structure at changing positions, in the fast form; for :meth:`result_of`."""
        self.check_structure(atoms)
        model = self.energy_model._replace(energy=_prediction(self.settings))
        return ForceEvaluator(model, [atoms], least_capacity)

    def result_of(
        self,
        atoms: ase.Atoms,
        raw: EnergyForces,
        graph: Graph | None = None,
        number: int = 0,
        rows: slice = slice(None),
    ) -> Result:
        """The part of a batch's arrays that belongs to one structure, with element shifts."""
        output = raw.output
        own = lambda array: np.asarray(array, np.float64)[rows]  # noqa: E731
        atomic = own(output.atomic_energies) + [self.energy_shifts.get(int(z), 0.0) for z in atoms.numbers]
        terms = {name: float(np.asarray(output.terms[name])[number]) for name in ENERGY_TERMS if name in output.terms}
        charges = None if output.partial_charges is None else own(output.partial_charges)
        terms["learned"] += self.shift_of(atoms)
        if not (np.isfinite(atomic).all() and np.isfinite(own(raw.forces)).all()):
            _check_finite(flat_parameters(self.parameters))
            raise ValueError(
                f"the energy or forces of {atoms.get_chemical_formula()} are not finite numbers; are atoms on top of "
                "each other?"
            )
        dipole = None if charges is None or atoms.pbc.any() else charges @ atoms.positions
        return Result(
            energy=float(atomic.sum()),
            forces=own(raw.forces),
            stress=_stress(atoms, raw.strain_gradient, number),
            atomic_energies=atomic,
            energy_terms=terms,
            partial_charges=charges,
            dipole=dipole,
            hirshfeld_ratios=None if output.hirshfeld_ratios is None else own(output.hirshfeld_ratios),
            attention=output.attention,
            graph=graph,
        )

    def calculator(self, **options: Any):
        """An ASE calculator with this potential."""
        from so3lab.potential.calculator import So3labCalculator

        return So3labCalculator(self, **options)

    def save(self, path: str | Path) -> Path:
        """Write the potential to one safetensors file, all or nothing.

        Args:
            path: Where to; the name should end in ``.so3.safetensors``.
        """
        path = Path(path)
        tensors = {name: np.asarray(value) for name, value in flat_parameters(self.parameters).items()}
        write_model(path, ModelContent(self.settings, tensors, self.energy_shifts, self.metadata))
        return path

    @classmethod
    def load(cls, path: str | Path, dtype: Dtype = "float32") -> "Potential":
        """Read a potential from its file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is not a so3lab model, or is damaged.
        """
        settings, tensors, shifts, metadata = read_model(Path(path))
        return cls.from_tensors(settings, tensors, path, dtype, energy_shifts=shifts, metadata=metadata)


def _stress(atoms: ase.Atoms, gradient: Any, number: int) -> Float[np.ndarray, " 6"] | None:
    """Stress of one structure of a batch in ASE's order, per volume of the cell that is computed with; None for a
    molecule."""
    if gradient is None or not atoms.pbc.any():
        return None
    volume = abs(np.linalg.det(complete_cell(np.asarray(atoms.cell), atoms.pbc)))
    stress = np.asarray(gradient[number], np.float64) / volume
    return stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _check_finite(parameters: Mapping[str, Any]) -> None:
    """Refuse weights that a training that went wrong, or a damaged file, has left.

    Raises:
        ValueError: If a weight is not a finite number.
    """
    wrong = [name for name, values in parameters.items() if not np.isfinite(np.asarray(values)).all()]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(
            f"the weights of the potential must be finite numbers, but {wrong[0]}{more} hold NaN or infinity; "
            "take an earlier checkpoint, or get the model file again"
        )
