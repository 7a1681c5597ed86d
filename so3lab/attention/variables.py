"""What a network carries for each atom: sizes of Euclidean variables and features, and three numbers to colour by."""

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.attention.look import Inside
from so3lab.functions.spherical import order_to_degree

COMPONENTS = 3


def atom_table(inside: Inside) -> pd.DataFrame:
    """What a network says of each atom.

    Args:
        inside: From :func:`~so3lab.attention.look_inside`.

    Returns:
        One row per atom: ``atom``, ``element``, ``energy_eV`` (without the constant of the element), ``charge_e`` where
        the model has charges, ``feature_norm``, ``euclidean_norm_1`` and so on for each degree, and ``component_1`` to
        ``component_3`` of the features (:func:`principal_components`). No units but these.
    """
    columns: dict[str, object] = {
        "atom": np.arange(len(inside.numbers)),
        "element": ase.Atoms(inside.numbers).get_chemical_symbols(),
        "energy_eV": inside.energies,
    }
    if inside.charges is not None:
        columns["charge_e"] = inside.charges
    columns["feature_norm"] = np.linalg.norm(inside.features, axis=1)
    norms = euclidean_norms(inside)
    columns |= {f"euclidean_norm_{degree}": norms[:, k] for k, degree in enumerate(inside.settings.degrees)}
    components = principal_components(inside.features)
    columns |= {f"component_{number + 1}": components[:, number] for number in range(components.shape[1])}
    return pd.DataFrame(columns)


def euclidean_norms(inside: Inside) -> Float[np.ndarray, "atoms degrees"]:
    r"""Size of the Euclidean variables of each degree, :math:`(\sum_m \chi_{lm}^2)^{1/2}`; no rotation changes it."""
    members = order_to_degree(inside.settings.degrees) > 0  # [orders, degrees]
    return np.sqrt(inside.euclidean_variables**2 @ members)


def principal_components(
    features: Float[np.ndarray, "atoms features"], count: int = COMPONENTS
) -> Float[np.ndarray, "atoms components"]:
    """Scores of atoms along the directions in which their features differ most, for colours: alike is alike.

    Signs, which are arbitrary, are chosen so that the largest score is positive; directions are this structure's.

    Args:
        features: One row per atom.
        count: How many directions at most; there are fewer than atoms.
    """
    centred = features - features.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    scores = (left * lengths)[:, : min(count, max(len(features) - 1, 1))]
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])]
    return scores * np.where(largest < 0, -1.0, 1.0)
