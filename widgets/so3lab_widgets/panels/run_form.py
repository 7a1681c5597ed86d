"""What a live simulation is made from: fields for model, molecule, charge, ensemble and number of replicas."""

from collections.abc import Callable

import ipywidgets as ipw
from ase import Atoms

import so3lab
from so3lab.dynamics.ensembles import ENSEMBLES
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.system_form import SystemForm, field

MOST_REPLICAS = 4


class RunForm(SystemForm):
    """Fields that say what is to move, and how.

    Args:
        model, structure, charge, load: As of :class:`~so3lab_widgets.panels.system_form.SystemForm`.
        ensemble: One of ``ENSEMBLES``.
        replicas: 1 to ``MOST_REPLICAS``.

    Raises:
        ValueError: If the ensemble is none of these, or there are too many replicas.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel,
        structure: str | Atoms,
        ensemble: str,
        replicas: int,
        charge: float | None = None,
        load: Callable[[str], Potential] = so3lab.load,
    ):
        if ensemble not in ENSEMBLES:
            raise ValueError(f"ensemble must be one of {', '.join(ENSEMBLES)}, got {ensemble!r}")
        if not 1 <= replicas <= MOST_REPLICAS:
            raise ValueError(f"replicas must be 1 to {MOST_REPLICAS}, got {replicas}")
        usual = [(f"{facts.usual}{' (cells)' * facts.constant_pressure}", name) for name, facts in ENSEMBLES.items()]
        self._read: Atoms | None = None
        self.ensemble = field(ipw.Dropdown, "Ensemble", 240, 68, value=ensemble, options=usual)
        self.replicas = field(ipw.BoundedIntText, "Replicas", 140, 76, value=replicas, min=1, max=MOST_REPLICAS)
        super().__init__(model, structure, charge, load, (self.ensemble, self.replicas))

    @property
    def values(self) -> tuple[str, str, str, int, str]:
        """What stands in the fields: model, molecule, ensemble, replicas, charge."""
        return self.model.value, self.structure.value, self.ensemble.value, self.replicas.value, self.charge.value

    def arguments(self) -> str:
        """What was given, as arguments in Python; of objects, which have no such form, the name of the argument."""
        return f"{super().arguments()}, ensemble={self.ensemble.value!r}, replicas={self.replicas.value}"

    def load(self) -> tuple[Potential | EnergyModel, Atoms]:
        """Model and structure, as :meth:`SystemForm.load` gives them."""
        model, self._read = super().load()
        return model, self._read

    def check_ensemble(self) -> None:
        """Say at once that an ensemble needs a cell that the molecule, as it was read last, does not have.

        Raises:
            ValueError: If so.
        """
        facts = ENSEMBLES[self.ensemble.value]
        if facts.constant_pressure and self._read is not None and not self._read.pbc.all():
            raise ValueError(
                f"{facts.usual}, changes the volume of a cell, and {self._read.get_chemical_formula()} has none: "
                "choose NVE or NVT, or a structure with a cell"
            )
