"""The same relaxation for any ASE calculator, one structure at a time."""

from typing import Any

import ase
import numpy as np
from ase.optimize.optimize import Optimizer
from jaxtyping import Float

from so3lab.minimize.batch import Batch
from so3lab.minimize.evaluators import Slots
from so3lab.minimize.waiting import item_of


class MoleculeOptimizer(Optimizer):
    """An ASE optimiser that relaxes molecules in internal coordinates, and anything else in Cartesian ones.

    Use it as any of ASE's: ``MoleculeOptimizer(atoms).run(fmax=0.01)``. Every step is one evaluation. Steps that
    raise the energy are taken back, so that the last one may be such a step where a run ends before it converges.

    Args:
        atoms: With a calculator; ``FixAtoms`` is the only constraint that it knows.
        method: As of :func:`so3lab.minimize.minimize`.
        **options: Those of any ASE optimiser: ``logfile``, ``trajectory``, ...

    Raises:
        ValueError: If the structure is empty, has other constraints, or positions that are no numbers.
    """

    def __init__(self, atoms: ase.Atoms, method: str = "auto", **options: Any):
        item = item_of(0, atoms, method)
        self._centre = atoms.positions[0] - item.atoms.positions[0]
        self._batch = Batch(_Calculator(atoms, self._centre), [item])
        super().__init__(atoms, **options)

    @property
    def gain(self) -> float:
        """Energy that is still to be gained, eV, as the Hessian learnt so far predicts; infinite before the first
        step."""
        return float(self._batch.gains()[0])

    def step(self, forces: Float[np.ndarray, "atoms 3"] | None = None) -> None:
        """Move the atoms to where the next evaluation is."""
        item = self._batch.items[0]
        assert item is not None
        if item.stepper is None:
            self._batch.step()  # the calculator knows this point
        if not item.finite:
            raise ValueError(
                f"the energy or forces of {item.atoms.get_chemical_formula()} are not finite numbers; are atoms on "
                "top of each other?"
            )
        self._batch.step()


class _Calculator:
    """A calculator in the place of the engine, which leaves the atoms where it evaluated them."""

    def __init__(self, atoms: ase.Atoms, centre: Float[np.ndarray, " 3"]):
        self._atoms, self._centre = atoms, centre

    def replace(self, slot: int, atoms: ase.Atoms) -> None:
        """Nobody else comes."""
        raise AssertionError("an optimiser of ASE has one structure")

    def __call__(self, rows: Slots) -> tuple[Float[np.ndarray, " slots"], Slots]:
        """Energy and gradient."""
        self._atoms.positions = rows[0] + self._centre
        forces = self._atoms.get_forces(apply_constraint=False)
        return np.array([float(self._atoms.get_potential_energy())]), -np.asarray(forces, np.float64)[None]
