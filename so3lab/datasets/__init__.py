"""Which structures, energies and forces a model learns from, and how they get here."""

from so3lab.datasets.ase_readers import from_atoms
from so3lab.datasets.dataset import Dataset, energy_shifts, statistics
from so3lab.datasets.download import DownloadError, fetch
from so3lab.datasets.loading import describe, load
from so3lab.datasets.plausible import require_plausible
from so3lab.datasets.sources import catalogue
from so3lab.datasets.splits import Split, split

__all__ = [
    "Dataset",
    "DownloadError",
    "Split",
    "catalogue",
    "describe",
    "energy_shifts",
    "fetch",
    "from_atoms",
    "load",
    "require_plausible",
    "split",
    "statistics",
]
