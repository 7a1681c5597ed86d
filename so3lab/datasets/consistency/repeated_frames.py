"""Which frames are copies of others, and do copies have the same labels?"""

import numpy as np

from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frame_hashes import first_copies
from so3lab.datasets.frames import frames_named

LARGEST_ENERGY_DIFFERENCE = 1e-3
"""eV between copies; reference programs repeat themselves to less."""


def check_repeated_frames(dataset: Dataset) -> list[Finding]:
    """Copies, and copies with other energies."""
    first = first_copies(dataset)
    copies = np.flatnonzero(first != np.arange(len(first)))
    if not len(copies):
        return []
    one = copies[0]
    findings = [
        Finding(
            f"{len(copies)} of {len(dataset)} frames are copies of others (frame {one} is frame {first[one]} again): "
            f"they count several times, and are kept in one part of a split"
        )
    ]
    differences = np.abs(dataset.energies[copies] - dataset.energies[first[copies]])
    other = copies[differences > LARGEST_ENERGY_DIFFERENCE]
    if len(other):
        worst = int(copies[np.argmax(differences)])
        findings.append(
            Finding(
                f"{len(other)} of these copies have other energies ({frames_named(other)}): frame {worst} has "
                f"{dataset.energies[worst]:.6f} eV and frame {first[worst]} {dataset.energies[first[worst]]:.6f} eV; "
                f"they may come from different methods, charges or spins: keep one of each"
            )
        )
    return findings
