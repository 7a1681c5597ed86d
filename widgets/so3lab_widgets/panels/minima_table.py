"""What a panel says of each minimum in a row: properties, its share of the molecules, how new it is to a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from so3lab import datasets, units
from so3lab.landscape import Landscape, PrincipalMap, TrainingConformations, populations
from so3lab.minima import Minimum, properties
from so3lab_widgets.confinement import permitted


class MinimaTable:
    """Tables of minima at a temperature.

    Args:
        reduced: Whether energies are in reduced units, and temperatures in units of ε/k.

    Attributes:
        landscape: Of the minima, where a database knows it; with vibrations of all of them, populations are harmonic
            ones.
        unit: Of energies above the lowest.
        without: Why the newest table has no principal components, in a sentence; empty where it has them.
    """

    def __init__(self, reduced: bool):
        self.reduced = reduced
        self.unit: Any = "ε" if reduced else "kcal/mol"
        self.landscape: Landscape | None = None
        self._training: Any = None
        self._known: TrainingConformations | None = None
        self._known_of = ""
        self._novelty: dict[bytes, float] = {}
        self._placed: tuple[list[Atoms], np.ndarray | None] = ([], None)
        self.without = ""

    @property
    def harmonic(self) -> bool:
        """Whether populations hold vibrations and symmetry; otherwise energies alone."""
        known = self.landscape
        return known is not None and bool(known.minima) and all(one is not None for one in known.vibrations)

    def rows(self, minima: Sequence[Minimum], temperature: float) -> pd.DataFrame:
        """One row for each minimum, in their order.

        Args:
            minima: At least one.
            temperature: K, or ε/k.
        """
        table = properties(minima)
        shares = self._populations(minima, np.array([temperature]))[0]
        table.insert(4, "population_percent", (100.0 * shares).tolist())
        if self._training is not None:
            table.insert(5, "novelty", self._novelties(minima))
        components = self._components(minima) if len(minima) > 1 else None  # one differs from nothing
        if components is not None:
            table["component_1"], table["component_2"] = components.T
        if self.reduced:
            lowest = table["energy_eV"].min()
            table = table.drop(columns="above_lowest_kcal_mol").rename(columns={"energy_eV": "energy"})
            table.insert(2, "above_lowest", table["energy"] - lowest)
        return table

    def populations(self, minima: Sequence[Minimum], temperatures: np.ndarray) -> pd.DataFrame:
        """Columns ``temperature``, ``number`` and ``population``, for a figure."""
        shares = self._populations(minima, temperatures)
        numbers = [one.number for one in minima]
        return pd.DataFrame(
            {
                "temperature": np.repeat(temperatures, len(numbers)),
                "number": np.tile(numbers, len(temperatures)),
                "population": shares.ravel(),
            }
        )

    def sentence(self, row: pd.Series, words: str) -> str:
        """What there is to say of a minimum, as HTML.

        Args:
            row: Of its table.
            words: Its number and height.
        """
        how = "harmonic" if self.harmonic else "by energies alone"
        parts = [
            f"{row['population_percent']:.1f} % of the molecules ({how})",
            "visited " + ("once" if row["visits"] == 1 else f"{row['visits']:,} times"),
        ]
        parts += [f"found by {row['origin']}"] + ([f"from minimum {row['parent']}"] if row["parent"] >= 0 else [])
        if "novelty" in row:
            where = "beyond" if row["novelty"] > 1.0 else "within"
            parts.append(f"{where} the training data ({row['novelty']:.2f} times their reach)")
        return f"<b>{words}</b> · " + " · ".join(parts)

    def learn(self, training: Any) -> None:
        """Say of each minimum from now on how far it lies beyond a training set, in units of that set's reach.

        Args:
            training: Name or file of a data set, a data set, or structures; None or nothing for no such column.

        Raises:
            ValueError: If there is no such set.
            OSError: If a file cannot be read.
        """
        named = isinstance(training, str)
        self._training = (datasets.load(permitted(training)) if named else training) if training else None
        self._known, self._novelty = None, {}

    def _components(self, minima: Sequence[Minimum]) -> np.ndarray | None:
        """Along the two directions in which these minima differ most; temperatures change nothing about them.

        None where a minimum has other bonds than the first: what else is known of it can be shown all the same.
        """
        structures = [one.atoms for one in minima]
        known, placed = self._placed
        if len(known) != len(structures) or any(one is not other for one, other in zip(known, structures, strict=True)):
            placed, self.without = None, ""
            try:
                placed = PrincipalMap(structures).place(structures)
            except ValueError as error:
                self.without = f"no principal components among the axes: {error}"
            self._placed = structures, placed
        return placed

    def _novelties(self, minima: Sequence[Minimum]) -> list[float]:
        """Of each; what is known of a structure is not asked again."""
        formula = minima[0].atoms.get_chemical_formula()
        if self._known is None or self._known_of != formula:
            self._known, self._known_of = TrainingConformations(self._training, minima[0].atoms), formula
        keys = [one.atoms.positions.tobytes() for one in minima]
        unknown = [one.atoms for key, one in zip(keys, minima, strict=True) if key not in self._novelty]
        if unknown:
            ratios = self._known.novelty(unknown).ratios.tolist()
            self._novelty |= {atoms.positions.tobytes(): ratio for atoms, ratio in zip(unknown, ratios, strict=True)}
        return [self._novelty[key] for key in keys]

    def _populations(self, minima: Sequence[Minimum], temperatures: np.ndarray) -> np.ndarray:
        """One row for each temperature."""
        at = temperatures / units.kB if self.reduced else temperatures
        if self.harmonic and self.landscape is not None:
            return self.landscape.populations(at)
        energies = np.array([one.energy for one in minima])
        return populations(np.tile(energies, (len(at), 1)), at)
