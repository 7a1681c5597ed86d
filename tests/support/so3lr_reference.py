"""The published SO3LR network in our classes, for comparison with numbers of the authors' code."""

from dataclasses import replace
from pathlib import Path

from so3lab.network.so3krates import So3krates
from so3lab.potential import Potential
from so3lab.pretrained.checkpoints import read_checkpoint
from so3lab.pretrained.names import from_mlff
from so3lab.pretrained.published import SO3LR_SETTINGS

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
FOLDER = SHARED / "reference" / "so3lr"
SETTINGS = replace(SO3LR_SETTINGS, electrostatics="none", dispersion=False, spin_trained=True)
"""Of the network with its short-range repulsion, without the terms that see further."""


def load() -> So3krates:
    """That network with the published weights, in float32."""
    tensors = from_mlff(SETTINGS, read_checkpoint(FOLDER).parameters)
    return Potential.from_tensors(SETTINGS, tensors, FOLDER).network
