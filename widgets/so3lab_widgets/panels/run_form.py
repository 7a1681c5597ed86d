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
        usual = [(facts.usual, name) for name, facts in ENSEMBLES.items()]
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
