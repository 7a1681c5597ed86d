"""Energies and forces of structures that move: pairs, energy, biases and strain, and what to do when a pair list fails.

:func:`forces_at` is for compiled code. It looks for pairs among the candidates that
:class:`so3lab.engine.pair_lists.PairLists` keeps, and raises a flag where they do not hold. :func:`go_on` is the loop
around compiled code: go on until done or a pair list fails, make it anew, go on. Dynamics and the ASE calculator are
made of these two.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from so3lab.engine.biases import BiasArrays, bias_energies
from so3lab.engine.energy_model import Dtype, EnergyFunction, EnergyModel, energy_and_forces, precision
from so3lab.engine.pair_lists import STALE, CandidatePairs, PairLists, PairListSpec, pairs_at
from so3lab.machine.compilation import on_device
from so3lab.structures.graph import (
    AtomClasses,
    Graph,
    apply_per_structure,
    atom_classes,
    checked_slots,
    padded_rows,
    total_charge,
    unpaired_electrons,
)
from so3lab.structures.neighbors import HostOrDevice


class StructureArrays(NamedTuple):
    """What of structures, their atoms one after another, stays the same whatever the positions and the pair lists."""

    atomic_numbers: Int[Array, " atoms"]
    masses: Float[Array, " atoms"]  # amu
    structure_index: Int[Array, " atoms"]
    charges: Float[Array, " structures"]  # e
    unpaired: Float[Array, " structures"]
    atom_classes: AtomClasses
    embedding: Float[Array, "atoms features"] | None = None  # initial features, when known
    atom_mask: Bool[Array, " atoms"] | None = None  # where rows may belong to nobody; None when all are atoms

    @property
    def structures(self) -> int:
        """How many there are."""
        return self.charges.shape[0]


def structure_arrays(
    structures: Sequence[ase.Atoms], dtype: Dtype, slots: Sequence[int] | None = None, least_classes: int = 0
) -> StructureArrays:
    """Arrays of structures on the device.

    Args:
        structures: One after another.
        dtype: Of real numbers.
        slots: Rows of atoms that each has, for batches in which structures are exchanged; rows beyond its own are
            of the element of its first atom, and masked.
        least_classes: Room for so many classes of atoms at least, such as those of arrays before; with ``slots``, there
            is room for the next power of two of those that are there.
    """
    rows, sizes = checked_slots(structures, slots), [len(atoms) for atoms in structures]
    classes = atom_classes(structures)
    numbers, masses, of_atoms = (
        padded_rows(of_each, rows)
        for of_each in (
            [atoms.numbers for atoms in structures],
            [atoms.get_masses() for atoms in structures],
            np.split(classes.of_atoms, np.cumsum(sizes)[:-1]),
        )
    )
    first = np.repeat(np.cumsum([0, *rows[:-1]]), rows)
    real = np.concatenate([np.arange(slot) < size for slot, size in zip(rows, sizes, strict=True)])
    numbers, masses, of_atoms = (np.where(real, x, x[first]) for x in (numbers, masses, of_atoms))
    row_of_atom = np.flatnonzero(real)  # classes name atoms as if there were no other rows
    count = len(classes.members)
    room = count if slots is None else max(least_classes, 1 << (count - 1).bit_length())
    members = np.pad(row_of_atom[classes.members], (0, room - count), mode="edge")
    with precision(dtype):
        to_real, whole = functools.partial(on_device, dtype=dtype), functools.partial(on_device, dtype=np.int32)
        return StructureArrays(
            whole(numbers),
            to_real(masses),
            whole(np.repeat(np.arange(len(sizes)), rows)),
            to_real(np.array([total_charge(atoms) for atoms in structures])),
            to_real(np.array([unpaired_electrons(atoms) for atoms in structures])),
            AtomClasses(whole(of_atoms), whole(members)),
            atom_mask=None if slots is None else on_device(real),
        )


class ForceSpec(NamedTuple):
    """What of an evaluation is compiled in as a constant."""

    energy: EnergyFunction
    pairs: PairListSpec
    with_virial: bool


class Forces(NamedTuple):
    """What is asked of a force field at some positions."""

    energy: Float[Array, " structures"]  # eV, of the force field
    forces: Float[Array, "atoms 3"]  # eV/Å, biases included
    pair_list_flags: Int[Array, " structures"]  # not 0 when a pair list does not hold: the numbers are worth nothing
    bias: Float[Array, " structures"]  # eV, of restraints and pulls
    virial: Float[Array, "structures 3 3"] | None = None  # eV, gradient with respect to a strain, when asked for
    output: Any = None  # what the energy function returned beside the energies


def forces_at(
    spec: ForceSpec,
    parameters: Any,
    arrays: StructureArrays,
    candidates: CandidatePairs,
    positions: Float[Array, "atoms 3"],
    cells: Float[Array, "structures 3 3"] | None,
    biases: BiasArrays | None = None,
) -> Forces:
    """Forces at given positions, pair search and biases included; for compiled code.

    Args:
        spec: What is compiled in.
        parameters: Of the energy function.
        arrays: Of the structures.
        candidates: Candidates for pairs.
        positions: Å.
        cells: Å, rows; None when no structure is periodic.
        biases: What to add, as arrays.
    """
    index, structures = arrays.structure_index, arrays.structures
    wrapped, pairs, long_range, pair_list_flags = pairs_at(candidates, spec.pairs, positions, cells, index, structures)
    mask = jnp.ones(len(arrays.atomic_numbers), bool) if arrays.atom_mask is None else arrays.atom_mask
    graph = Graph(
        wrapped, arrays.atomic_numbers, index, mask, pairs.receivers,
        pairs.senders, pairs.mask, arrays.charges, arrays.unpaired, pairs.images, cells, long_range=long_range,
        atom_classes=arrays.atom_classes, embedding=arrays.embedding,
    )  # fmt: skip
    found = energy_and_forces(spec.energy, parameters, graph, with_strain=spec.with_virial)
    if biases is None:
        none = jnp.zeros_like(found.energies)
        return Forces(found.energies, found.forces, pair_list_flags, none, found.strain_gradient, found.output)

    def biased(_: None, graph: Graph, strain: Float[Array, "structures 3 3"] | None) -> Float[Array, " structures"]:
        """Biases know atoms as they move, which the graph's may be images of."""
        place, box = jnp.asarray(graph.positions), cells
        if strain is not None:
            place = place + apply_per_structure(place, strain, index)
            box = None if cells is None else cells + cells @ strain
        return bias_energies(biases, place, arrays.masses, index, box, structures)

    added = energy_and_forces(biased, None, graph._replace(positions=positions), with_strain=spec.with_virial)
    virial = None
    if found.strain_gradient is not None and added.strain_gradient is not None:
        virial = found.strain_gradient + added.strain_gradient
    return Forces(found.energies, found.forces + added.forces, pair_list_flags, added.energies, virial, found.output)


Progress = TypeVar("Progress")


class Stop(NamedTuple):
    """Where compiled code stopped."""

    done: int  # how far it came
    pair_list_flags: Int[np.ndarray, " structures"]  # of pair lists; all 0 when it is done
    positions: Float[HostOrDevice, "atoms 3"]  # Å, of the last good moment
    cells: Float[HostOrDevice, "structures 3 3"] | None  # Å, where they change


def go_on(
    lists: PairLists,
    progress: Progress,
    advance: Callable[[Progress, PairListSpec, CandidatePairs], Progress],
    stop_of: Callable[[Progress], Stop],
    give_up: Callable[[Progress, Bool[np.ndarray, " structures"]], Progress],
) -> Progress:
    """Go on until done or a pair list fails; make it anew where it failed; go on.

    Args:
        lists: The pair lists, which are kept in order.
        progress: Where to begin.
        advance: Runs compiled code from where it stopped; its flags are those of this run alone.
        stop_of: Where it stopped.
        give_up: Marks structures whose list, made anew at these very positions, does not hold either: an atom went
            further in one step than a list reaches.
    """
    fresh_since = -1
    while True:
        progress = advance(progress, lists.spec, lists.candidates)
        stop = stop_of(progress)
        pair_list_flags = stop.pair_list_flags
        if not pair_list_flags.any():
            return progress
        stale = (pair_list_flags & STALE) != 0
        if stale.any() and stop.done == fresh_since:
            progress = give_up(progress, stale)
            pair_list_flags = np.where(stale, 0, pair_list_flags)
        if pair_list_flags.any():
            lists.reallocate(
                int(np.bitwise_or.reduce(pair_list_flags)),
                np.asarray(stop.positions),
                None if stop.cells is None else np.asarray(stop.cells),
            )
        fresh_since = stop.done


_forces_at = jax.jit(forces_at, static_argnames="spec")


class ForceEvaluator:
    """Forces of structures at positions that a caller chooses, such as an optimiser's; pair lists last while atoms move
    little.

    Args:
        model: Energy function, parameters, cutoff.
        structures: All molecules or all cells; their positions are where the pair lists begin.
        least_capacity: Room for so many pairs at least, such as :attr:`capacity` of an evaluator before.
        slots: Rows of atoms that each structure has, when others of other sizes may take its place
            (:meth:`replace`); its own number of atoms when not given. Rows that nobody has feel no force.
    """

    def __init__(
        self,
        model: EnergyModel,
        structures: Sequence[ase.Atoms],
        least_capacity: int = 0,
        slots: Sequence[int] | None = None,
    ):
        self.model, self._slots = model, slots
        self._structures = [atoms.copy() for atoms in structures]
        with precision(model.dtype):
            self._arrays = self._embedded(structure_arrays(structures, model.dtype, slots))
            self.lists = PairLists(
                structures, model.cutoff, model.long_range, model.dtype, least_capacity=least_capacity, slots=slots
            )
        self._cells = self.lists.cells  # those of the lists as they stand; None while they are made anew

    @property
    def capacity(self) -> int:
        """Room for pairs."""
        return self.lists.spec.capacity

    @property
    def arrays(self) -> StructureArrays:
        """What of the structures does not move, on the device."""
        return self._arrays

    def replace(self, number: int, atoms: ase.Atoms) -> None:
        """Put another structure in the place of one.

        Nothing is compiled for it, unless it has more pairs than there is room for (:meth:`PairLists.replace`), or
        there were never as many kinds of atoms together: room for them, elements in structures of equal composition
        and charge, grows by factors of two.

        Args:
            number: Which one.
            atoms: At most as many atoms as its place has rows, of any elements, periodic as the others are.

        Raises:
            ValueError: If it does not fit.
        """
        with precision(self.model.dtype):
            self.lists.replace(number, atoms)
            self._cells = self.lists.cells
            self._structures[number] = atoms.copy()
            classes = len(self._arrays.atom_classes.members)
            arrays = structure_arrays(self._structures, self.model.dtype, self._slots, classes)
            self._arrays = self._embedded(arrays)

    def _embedded(self, arrays: StructureArrays) -> StructureArrays:
        """With initial features, where the model knows them."""
        if self.model.embed is None:
            return arrays
        return arrays._replace(embedding=_embedded(self.model.embed, self.model.parameters, arrays))

    def __call__(
        self,
        positions: Float[np.ndarray, "atoms 3"],
        cells: Float[np.ndarray, "structures 3 3"] | None = None,
        *,
        with_virial: bool = False,
    ) -> Forces:
        """Energies and forces.

        Args:
            positions: Å.
            cells: Å, rows; None when no structure is periodic. Where they are not those of the call before, pair lists
                are made anew.
            with_virial: Whether the gradient with respect to a strain is wanted.
        """
        dtype, lists = self.model.dtype, self.lists
        with precision(dtype):
            if cells is not None and (self._cells is None or not np.array_equal(cells, self._cells)):
                self._cells = None  # should this be interrupted, they are made at the next call
                lists.rebuild(positions, cells, fixed_anew=True)
                self._cells = np.array(cells)
            places = np.asarray(positions, dtype)
            boxes = None if cells is None else np.asarray(cells, dtype)

            def advance(_: Forces | None, pair_list_spec: PairListSpec, candidates: CandidatePairs) -> Forces:
                spec = ForceSpec(self.model.energy, pair_list_spec, with_virial)
                found: Forces = _forces_at(spec, self.model.parameters, self._arrays, candidates, places, boxes)
                return found

            def stop_of(found: Forces | None) -> Stop:
                assert found is not None
                return Stop(0, np.asarray(found.pair_list_flags), places, None)

            found = go_on(lists, None, advance, stop_of, _impossible)
            assert found is not None
            return found


@functools.partial(jax.jit, static_argnames="embed")
def _embedded(
    embed: Callable[[Any, Graph], Float[Array, "atoms features"]], parameters: Any, arrays: StructureArrays
) -> Float[Array, "atoms features"]:
    """Initial features of structures, by a graph that needs no pairs."""
    atoms, none = len(arrays.atomic_numbers), jnp.zeros(0, jnp.int32)
    mask = jnp.ones(atoms, bool) if arrays.atom_mask is None else arrays.atom_mask
    graph = Graph(
        jnp.zeros((atoms, 3), arrays.masses.dtype), arrays.atomic_numbers, arrays.structure_index,
        mask, none, none, jnp.zeros(0, bool), arrays.charges, arrays.unpaired,
    )  # fmt: skip
    return embed(parameters, graph)


def _impossible(found: Forces | None, stale: Bool[np.ndarray, " structures"]) -> Forces | None:
    raise AssertionError("a pair list does not hold at the very positions at which it was made")
