"""What a search for minima is made from: compound and model, where to look, when to end, and where minima are kept."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
from ase import Atoms

import so3lab
from so3lab.engine.energy_model import EnergyModel
from so3lab.minima.proposals.names import NAMES
from so3lab.potential.potential import Potential
from so3lab_widgets.confinement import permitted
from so3lab_widgets.panels.system_form import SystemForm, field, number_in

_SMILES = "smiles:"
_WORDS = {
    "torsions": "turns of torsions", "hopping": "minima hopping", "dynamics": "hot dynamics",
    "embeddings": "embeddings of the SMILES", "cluster": "moves of clusters",
}  # fmt: skip


class SearchForm(ipw.VBox):
    """Fields that say which minima are to be found, and how.

    Args:
        model, structure, charge, load: As of :class:`~so3lab_widgets.panels.system_form.SystemForm`.
        file: Database in which minima are kept; nothing keeps them in memory.

    Attributes:
        system: Model, molecule and charge.
        proposals: A box for each proposer, by name; none of them means those that suit the compound.
        minutes, minima, share: Fields for budgets, of which an empty one is none: minutes, number of minima, and the
            estimated share of them, in per cent.
        seed: Of all chances.
        file: Field for the name of the database.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel,
        structure: str | Atoms,
        charge: float | None = None,
        load: Callable[[str], Potential] = so3lab.load,
        file: str = "",
    ):
        self.system = SystemForm(model, structure, charge, load)
        self.proposals = {
            name: ipw.Checkbox(
                False, description=name, indent=False, tooltip=_WORDS[name], layout=ipw.Layout(width="auto")
            )
            for name in NAMES
        }
        unless = "any"
        self.minutes = field(ipw.Text, "Minutes", 120, 60, placeholder=unless, tooltip="of searching from now on")
        self.minima = field(ipw.Text, "Minima", 120, 56, placeholder=unless, tooltip="found in all")
        self.share = field(ipw.Text, "Found (%)", 130, 76, value="95", placeholder=unless,
                           tooltip="estimated share of all minima")  # fmt: skip
        self.seed = field(ipw.BoundedIntText, "Seed", 120, 44, value=0, min=0, max=2**31 - 1)
        self.file = field(ipw.Text, "Keep in", 260, 60, value=file, placeholder="memory, or minima.db",
                          tooltip="a database that is written while the search runs")  # fmt: skip
        row = {"flex_flow": "row wrap", "align_items": "center"}
        where = ipw.HBox(
            [ipw.Label("Look by"), *self.proposals.values(), ipw.Label("(none: what suits the compound)")],
            layout=ipw.Layout(**row, grid_gap="0 10px"),
        )
        until = [ipw.Label("until"), self.minutes, self.minima, self.share, self.seed, self.file]
        super().__init__([self.system, where, ipw.HBox(until, layout=ipw.Layout(**row))])

    @property
    def fields(self) -> dict[str, ipw.Widget]:
        """All of them by the name that they have in Python, seen from the form."""
        found = {f"system.{name}": getattr(self.system, name) for name in ("model", "structure", "charge")}
        found |= {f"proposals[{name!r}]": box for name, box in self.proposals.items()}
        return found | {name: getattr(self, name) for name in ("minutes", "minima", "share", "seed", "file")}

    @property
    def wanted(self) -> tuple[Any, ...]:
        """What tells one search from another: everything but when it ends."""
        return (*self.system.values, tuple(self.names), self.seed.value, self.file.value.strip())

    @property
    def database(self) -> str:
        """Where minima are to be kept; nothing for memory.

        Raises:
            PermissionError: If they may not be kept there (:func:`so3lab_widgets.confinement.permitted`).
        """
        return permitted(self.file.value.strip())

    @property
    def names(self) -> list[str]:
        """Of the proposers."""
        return [name for name, box in self.proposals.items() if box.value]

    @property
    def smiles(self) -> str | None:
        """Of the compound, where it was given by one."""
        text = self.system.structure.value.strip()
        return text.removeprefix(_SMILES) if text.startswith(_SMILES) else None

    def budget(self) -> dict[str, Any]:
        """When to end, as arguments of :meth:`so3lab.minima.Search.run`.

        Raises:
            ValueError: If a field holds no positive number, or a share none below 100.
        """
        minutes = number_in(self.minutes, "minutes must be a number such as 10, or nothing")
        minima = number_in(self.minima, "minima must be a number such as 50, or nothing")
        share = number_in(self.share, "the share found must be per cent such as 95, or nothing")
        for name, number, least in (("minutes", minutes, 0.0), ("minima", minima, 1.0)):
            if number is not None and (number < least or number == 0):
                raise ValueError(f"{name} must be positive, got {number:g}")
        if share is not None and not 0 < share < 100:
            raise ValueError(f"the share found must lie between 0 and 100 per cent, got {share:g}")
        found = {
            "minutes": minutes,
            "minima": None if minima is None else int(minima),
            "saturation": None if share is None else share / 100.0,
        }
        return {name: value for name, value in found.items() if value is not None}

    def arguments(self) -> str:
        """What was given, as arguments in Python."""
        kept = self.file.value.strip()
        return self.system.arguments() + (f", database={kept!r}" if kept else "")


def names_in_python(names: Sequence[str]) -> str:
    """An argument for proposers; nothing where those that suit the compound are meant."""
    return f", proposals={list(names)!r}" if names else ""
