"""What comes out of a relaxation: the structure, and why it ended."""

from dataclasses import dataclass
from typing import Literal

import ase

Why = Literal["converged", "out of steps", "bonds changed", "inverted", "not finite"]


@dataclass(frozen=True)
class Relaxed:
    """One structure after its relaxation."""

    number: int
    """Its place among those that were given, from 0."""
    atoms: ase.Atoms
    """Relaxed, with energy and forces in its calculator, and constraints and other data as they were."""
    energy: float
    """eV, element shifts included."""
    max_force: float
    """eV/Å, the largest on an atom that is free to move; of held coordinates and of the cell as well."""
    gain_meV: float
    """meV by which the energy is predicted to fall until the minimum, by the Hessian that the method has learnt."""
    evaluations: int
    """Of energy and forces, the start and rejected steps included."""
    method: str
    """Which one ended it: ``internal``, ``cartesian`` or ``fire``."""
    why: Why
    """Why it ended. Changed bonds and inverted centres are said of structures that converged."""
    lowest_curvature: float | None = None
    """eV/Å², the smallest eigenvalue of the Hessian without whole motions, when minima were to be confirmed; then
    ``gain_meV`` is what this Hessian predicts."""
    bonds_made: tuple[tuple[int, int], ...] = ()
    bonds_broken: tuple[tuple[int, int], ...] = ()
    inverted_centres: tuple[int, ...] = ()
    turned_double_bonds: tuple[tuple[int, int], ...] = ()

    @property
    def converged(self) -> bool:
        """Whether it is a minimum, of whatever molecule."""
        return self.why not in ("out of steps", "not finite")

    @property
    def sentence(self) -> str:
        """The reason in words, with atoms by element and number."""
        if self.why == "not finite":
            return "energy or forces are not finite numbers; are atoms on top of each other?"
        if self.why == "out of steps":
            return (
                f"out of steps after {self.evaluations} evaluations: largest force {self.max_force:.3g} eV/Å, "
                f"{self.gain_meV:.3g} meV still to be gained"
            )
        made, broken = (self._pairs(pairs) for pairs in (self.bonds_made, self.bonds_broken))
        parts = [f"bonds made: {made}"] if made else []
        parts += [f"bonds broken: {broken}"] if broken else []
        parts += [f"inverted: {', '.join(map(self._name, self.inverted_centres))}"] if self.inverted_centres else []
        parts += [f"turned: {self._pairs(self.turned_double_bonds)}"] if self.turned_double_bonds else []
        return "; ".join(["converged", *parts]) if parts else "converged"

    def _name(self, atom: int) -> str:
        return f"{self.atoms.symbols[atom]}{atom}"

    def _pairs(self, pairs: tuple[tuple[int, int], ...]) -> str:
        return ", ".join(f"{self._name(i)}-{self._name(j)}" for i, j in pairs)
