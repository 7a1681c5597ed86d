"""A minima panel of pentane, relaxed by MMFF, for tests without a browser."""

import dataclasses
import functools

from mmff import relax_by_mmff
from so3lab_widgets import MinimaPanel

from so3lab.minima import Search
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles

SMILES = "CCCCC"
MODEL = lennard_jones()
"""Not asked where MMFF relaxes."""


def remembered(relax):
    """The same searches begin in many tests: what was relaxed once is looked up."""
    known = {}

    def relax_or_look_up(structures):
        for number, atoms in enumerate(structures):
            key = atoms.positions.tobytes()
            if key not in known:
                (known[key],) = relax([atoms])
            yield dataclasses.replace(known[key], number=number)

    return relax_or_look_up


RELAXED = functools.partial(Search, relax=remembered(relax_by_mmff(SMILES)), round_size=10)


def pentane_panel(**options) -> MinimaPanel:
    """A panel that is about to search among the torsions of pentane."""
    options = {"reduced": False, "search": RELAXED} | options
    panel = MinimaPanel(MODEL, from_smiles(SMILES), **options)
    panel.form.proposals["torsions"].value = True
    return panel


def searched(panel: MinimaPanel) -> MinimaPanel:
    """The panel after its search."""
    panel.start()
    panel.wait()
    assert panel.run.job.error is None
    return panel
