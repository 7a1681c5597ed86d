"""A MACE of the size that people run, with random weights: time does not depend on their values.

128 channels of scalars and vectors, spherical harmonics up to degree 3, correlation 3, two layers, cutoff 5 Å, ten
elements: the sizes of the published "medium" models for organic molecules.
"""

import warnings

import numpy as np
import protocol  # noqa: F401  MACE prints as it is imported, which is no answer
import torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
torch.serialization.add_safe_globals([slice])  # which e3nn's own table of constants holds

from e3nn import o3  # noqa: E402
from mace.modules import RealAgnosticResidualInteractionBlock, ScaleShiftMACE  # noqa: E402

ELEMENTS = [1, 6, 7, 8, 9, 15, 16, 17, 35, 53]
MODEL = "MACE 128x0e+128x1o, 2 layers, 5 Å, random weights"


def random_mace() -> torch.nn.Module:
    """The network in float32; energies are kept small, so that nothing flies apart while it is timed."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    return ScaleShiftMACE(
        atomic_inter_scale=0.01, atomic_inter_shift=0.0, r_max=5.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=3,
        interaction_cls=RealAgnosticResidualInteractionBlock,
        interaction_cls_first=RealAgnosticResidualInteractionBlock, num_interactions=2, num_elements=len(ELEMENTS),
        hidden_irreps=o3.Irreps("128x0e + 128x1o"), MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(ELEMENTS)), avg_num_neighbors=20.0, atomic_numbers=ELEMENTS, correlation=3,
        gate=torch.nn.functional.silu,
    )  # fmt: skip
