"""How a landscape travels: one HTML file with maps, tree, populations and the molecules themselves."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms

from so3lab import datasets, units
from so3lab.datasets import Dataset
from so3lab.landscape import (
    Fingerprints,
    Novelty,
    TrainingConformations,
    disconnectivity_tree,
    laid_upon_the_first,
    maps_for,
)
from so3lab.landscape.thermodynamics import populations
from so3lab.minima import unseen
from so3lab.structures import molecular_graph
from so3lab_widgets import figures
from so3lab_widgets.figures.landscape import EnergyUnit, per_unit
from so3lab_widgets.report import Movie, Section, build_report, most_frames

if TYPE_CHECKING:
    from so3lab.landscape import Landscape, TransitionState

ARGON_DIAMETER = 3.4
"""Å that stand for σ when a cluster in reduced units is shown, so that argon looks as it should."""
MOST_ROWS = 40
"""Of a table; figures and the molecules have more."""
_ROOM_K = 300.0
_COOL = 0.1
"""ε/k at which populations of a cluster are told: below the melting of small ones."""


def write_landscape_page(
    landscape: "Landscape",
    path: str | os.PathLike,
    *,
    title: str = "",
    model_name: str = "",
    training: Dataset | Sequence[Atoms] | str | Path | None = None,
    temperatures_K: Sequence[float] | None = None,
    told_at_K: float | None = None,
    classical: bool = False,
    energy_unit: EnergyUnit = "kcal/mol",
) -> Path:
    """Write one HTML file that needs no network: a click on a minimum, wherever it is drawn, shows it in 3D.

    Args:
        landscape: At least one minimum; saddles and vibrations where they are known.
        path: File to write; folders are made.
        title: Headline; default: the formula.
        model_name: What the energies come from, in words.
        training: Frames that the model has learnt from, or their set's name or file; the page then says which minima
            lie beyond them.
        temperatures_K: At which populations are drawn; default: 25 to 800 K.
        told_at_K: At which tables tell shares and rates; default: 300 K, of clusters 0.1 ε/k.
        classical: Whether vibrations are classical, without zero-point energies, as those of clusters always are.
        energy_unit: Of energies; ``"ε"`` for clusters in reduced units, whose temperatures are in ε/k.

    Returns:
        The path of the file.

    Raises:
        ValueError: If the landscape has no minima, or the training set has no frames of the compound.
    """
    if not landscape.minima:
        raise ValueError("landscape has no minima: there is nothing to show")
    if isinstance(training, str | Path):
        training = datasets.load(training, check=False)
    page = _Page(landscape, energy_unit, training, temperatures_K, told_at_K, classical)
    compound = landscape.minima[0].atoms.get_chemical_formula()
    return build_report(
        [page.places(), page.ways(), page.weights(), page.lists()],
        path,
        title=title or f"Energy landscape of {compound}",
        subtitle=f"{compound}, energies of {model_name}" if model_name else compound,
        numbers=page.numbers(),
        aside=page.molecules(),
    )


class _Page:
    """What a page shows of a landscape, part by part."""

    def __init__(
        self,
        landscape: "Landscape",
        unit: EnergyUnit,
        training: Dataset | Sequence[Atoms] | None,
        temperatures_K: Sequence[float] | None,
        told_at_K: float | None,
        classical: bool,
    ):
        self._landscape, self._unit = landscape, unit
        self._how: dict[str, Any] = {"quantum": not (classical or self._reduced)}
        if self._reduced:
            self._how["lowest_cm"] = 0.0
        minima = landscape.minima
        fingerprints = Fingerprints(minima[0].atoms)
        self._saddles = [
            one for one in landscape.transition_states if fingerprints.of_graph(molecular_graph(one.atoms)) is not None
        ]
        structures = laid_upon_the_first([*(one.atoms for one in minima), *(one.atoms for one in self._saddles)])
        self._structures, self._saddle_structures = structures[: len(minima)], structures[len(minima) :]
        self._training = None if training is None else TrainingConformations(training, minima[0].atoms)
        self._novelty: Novelty | None = None if self._training is None else self._training.novelty(self._structures)
        self._maps = maps_for(self._structures)
        reduced = np.linspace(0.01, 0.4, 40) / units.kB
        default = reduced if self._reduced else np.arange(25.0, 801.0, 25.0)
        self._temperatures_K = default if temperatures_K is None else np.asarray(temperatures_K, float)
        self._told_at_K = told_at_K or (_COOL / units.kB if self._reduced else _ROOM_K)
        self._heights = np.array([one.energy - minima[0].energy for one in minima]) / per_unit(unit)
        self._minima = pd.DataFrame(
            {
                "number": [one.number for one in minima],
                "energy_eV": [one.energy for one in minima],
                "visits": [one.visits for one in minima],
                **({} if self._novelty is None else {"novelty": self._novelty.ratios}),
            }
        )

    @property
    def _reduced(self) -> bool:
        return self._unit == "ε"

    @property
    def _told_at(self) -> str:
        """The temperature of tables, in words."""
        return f"{self._told_at_K * units.kB:.3g} ε/k" if self._reduced else f"{self._told_at_K:.0f} K"

    @property
    def _harmonic(self) -> bool:
        return all(one is not None for one in self._landscape.vibrations) and bool(self._landscape.vibrations)

    def numbers(self) -> dict[str, str]:
        """What stands at the top."""
        landscape = self._landscape
        shown = {
            "minima": str(len(landscape.minima)),
            "still unseen, estimated": f"{unseen(one.visits for one in landscape.minima):.0f}",
            "transition states": str(len(landscape.transition_states)),
        }
        if len(landscape.minima) > 1:
            shown["the second minimum"] = f"{self._heights[1]:.2f} {self._unit}"
        if self._novelty is not None:
            shown["beyond the training data"] = str(int(self._novelty.beyond.sum()))
        return shown

    def molecules(self) -> Movie:
        """The lowest minima, and saddles as far as there is room for them, to be turned."""
        most = most_frames(len(self._structures[0]))
        minima = range(min(most, len(self._structures)))
        saddles = range(min(most - len(minima), len(self._saddles)))
        frames = [self._structures[n] for n in minima] + [self._saddle_structures[n] for n in saddles]
        if self._reduced:
            for atoms in frames:
                atoms.positions *= ARGON_DIAMETER
        names = [self._said_of(n) for n in minima] + [self._said_of_saddle(self._saddles[n]) for n in saddles]
        keys: list[int | str] = [self._landscape.minima[n].number for n in minima]
        keys += [_key(self._saddles[n]) for n in saddles]
        caption = "Click on a point of a figure or a row of a table to see it here."
        bonded = len(molecular_graph(self._structures[0]).bonds)
        return Movie(frames, caption=caption, names=names, keys=keys, style="ball+stick" if bonded else "spacefill")

    def places(self) -> Section:
        """Maps of conformations."""
        drawn: list[go.Figure | pd.DataFrame | Movie] = []
        for one in self._maps:
            minima = self._minima.assign(**_placed(one.place(self._structures)))
            saddles = self._saddle_table().assign(**_placed(one.place(self._saddle_structures)))
            axes = tuple(axis.replace("(Å)", "(σ)") for axis in one.axes) if self._reduced else one.axes
            drawn.append(
                figures.conformation_map(
                    minima, saddles, axes=(axes[0], axes[1]), periodic=one.periodic, title=one.name, unit=self._unit
                )
            )
        text = "Each disc is a minimum, larger the more often the search came to it."
        text += " Diamonds are the saddles between them." if self._saddles else ""
        left = len(self._landscape.transition_states) - len(self._saddles)
        text += f" {left} saddles in which a bond is open have no place here." if left else ""
        notes = {}
        if self._training is not None:
            notes["training data"] = (
                f"{len(self._training.frames)} frames of this compound. A minimum is beyond them where the "
                f"{self._training.what} from the nearest frame, {self._training.reach:.3g} {self._training.unit}, "
                "is more than 95 % of the frames themselves are from the nearest one of another trajectory."
            )
        return Section("Where they lie", text, drawn, notes)

    def ways(self) -> Section:
        """The tree, and the ladder."""
        ladder = figures.energy_ladder(self._minima, unit=self._unit)
        states = self._landscape.transition_states
        if not states:
            return Section("By energy", "No saddles between these minima are known yet.", [ladder])
        tree = disconnectivity_tree(
            [one.energy for one in self._landscape.minima], [(*one.minima, one.energy) for one in states]
        )
        return Section(
            "How they are connected",
            "Minima are joined at the height that the best known way between them must climb, where its highest saddle "
            "is. What hangs from one branch is reached from its lowest minimum without going higher.",
            [figures.disconnectivity(tree.table(), self._minima, unit=self._unit), ladder],
        )

    def weights(self) -> Section:
        """Populations."""
        shares = self._shares(self._temperatures_K)
        shown = self._temperatures_K * (units.kB if self._reduced else 1.0)
        table = pd.DataFrame(
            {
                "temperature": np.repeat(shown, shares.shape[1]),
                "number": np.tile(self._minima["number"], len(shown)),
                "population": shares.ravel(),
            }
        )
        how = (
            "Rigid rotors with harmonic vibrations, classical ones; mirror images and permutations are counted."
            if not self._how["quantum"]
            else "Rigid rotors with harmonic vibrations and their zero-point energies; mirror images are counted."
        )
        if not self._harmonic:
            how = "By energies alone: the vibrations of these minima have not been computed."
        figure = figures.populations(table, unit="ε/k" if self._reduced else "K")
        return Section("How often each is met", how, [figure])

    def lists(self) -> Section:
        """Tables of the lowest minima and saddles."""
        items: list[go.Figure | pd.DataFrame | Movie] = [self._list_of_minima()]
        if self._landscape.transition_states:
            items.append(self._list_of_saddles())
        left = len(self._minima) - MOST_ROWS
        return Section("The lowest ones", f"{left} higher minima are left out here." if left > 0 else "", items)

    def _list_of_minima(self) -> pd.DataFrame:
        rows = self._minima.head(MOST_ROWS)
        count = len(rows)
        energies = rows["energy_eV"].map("{:.4f}".format)
        table = pd.DataFrame(
            {
                "minimum": rows["number"],
                f"above the lowest ({self._unit})": [f"{height:.2f}" for height in self._heights[:count]],
                f"energy ({'ε' if self._reduced else 'eV'})": energies,
            }
        )
        shares = 100.0 * self._shares(np.array([self._told_at_K]))[0, :count]
        table[f"share at {self._told_at} (%)"] = [f"{share:.1f}" for share in shares]
        for one in self._maps:
            if one.periodic:
                name = ", ".join(axis.removesuffix(" (°)") for axis in one.axes) + " (°)"
                placed = one.place(self._structures[:count])
                table[name] = [f"{x:.0f}, {y:.0f}".replace("-", "−") for x, y in placed]
        table["visits"] = rows["visits"]
        if self._training is not None and self._novelty is not None:
            table[f"from training ({self._training.unit})"] = [f"{d:.3g}" for d in self._novelty.distances[:count]]
            table["beyond training"] = np.where(self._novelty.beyond[:count], "yes", "")
        return table

    def _list_of_saddles(self) -> pd.DataFrame:
        lowest, scale = self._landscape.minima[0].energy, per_unit(self._unit)
        energies = {one.number: one.energy for one in self._landscape.minima}
        states = self._landscape.transition_states[:MOST_ROWS]
        table = pd.DataFrame(
            {
                "saddle": [_key(one) for one in states],
                "between": [f"{one.minima[0]} and {one.minima[1]}" for one in states],
                f"above the lowest ({self._unit})": [f"{(one.energy - lowest) / scale:.2f}" for one in states],
                f"barriers ({self._unit})": [
                    ", ".join(_two_places((one.energy - energies[end]) / scale) for end in one.minima) for one in states
                ],
            }
        )
        if not self._reduced:
            table["imaginary (cm⁻¹)"] = [f"{one.imaginary_frequency_cm:.0f}" for one in states]
            if self._harmonic:
                rates = self._landscape.rates(np.array([self._told_at_K]), **self._how)[0]
                table[f"rates at {self._told_at} (1/s)"] = [
                    ", ".join(f"{rate:.1e}" for rate in rates[one.number]) for one in states
                ]
        return table

    def _shares(self, temperatures_K: np.ndarray) -> np.ndarray:
        if self._harmonic:
            return self._landscape.populations(temperatures_K, **self._how)
        energies = self._minima["energy_eV"].to_numpy()
        return populations(np.tile(energies - energies.min(), (len(temperatures_K), 1)), temperatures_K)

    def _saddle_table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "number": [one.number for one in self._saddles],
                "energy_eV": [one.energy for one in self._saddles],
                "first": [one.minima[0] for one in self._saddles],
                "second": [one.minima[1] for one in self._saddles],
            }
        )

    def _said_of(self, number: int) -> str:
        minimum = self._landscape.minima[number]
        said = f"minimum {minimum.number} · {self._heights[number]:.2f} {self._unit} · visits: {minimum.visits}"
        beyond = self._novelty is not None and self._novelty.beyond[number]
        return said + (" · beyond the training data" if beyond else "")

    def _said_of_saddle(self, state: "TransitionState") -> str:
        height = (state.energy - self._landscape.minima[0].energy) / per_unit(self._unit)
        return f"{_key(state)} · {height:.2f} {self._unit} · between {state.minima[0]} and {state.minima[1]}"


def _key(state: "TransitionState") -> str:
    return f"saddle {state.number}"


def _two_places(value: float) -> str:
    """A barrier; one that only rounding makes negative is nil."""
    return f"{round(value, 2) + 0.0:.2f}"


def _placed(places: np.ndarray) -> dict[str, np.ndarray]:
    return {"x": places[:, 0], "y": places[:, 1]}
