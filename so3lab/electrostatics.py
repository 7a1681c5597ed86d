"""What does truncating the energy of the charges do to the forces? The truncated modes against the exact one."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from so3lab.engine.energy_model import precision, run_network
from so3lab.functions.safe import safe_norm
from so3lab.network.pairwise.electrostatics import electrostatics_term
from so3lab.network.pairwise.long_range import LongRangeNeeds, with_long_range
from so3lab.network.settings import Electrostatics, ModelSettings
from so3lab.potential.potential import Potential
from so3lab.structures.graph import Graph, build_graph, displacements

TRUNCATED = tuple(mode for mode in get_args(Electrostatics) if mode not in ("none", "exact"))
"""Modes with a cutoff: ``wolf`` and ``compat``."""


def truncation_errors(
    potential: Potential, atoms: ase.Atoms, cutoffs: Sequence[float] = (6, 8, 10, 12, 16, 20, 24, 30)
) -> pd.DataFrame:
    """By how much forces with truncated electrostatics differ from those with exact ones.

    They are the differences between ``potential.with_electrostatics(mode, cutoff)`` and the same with ``"exact"``,
    for all modes and cutoffs by one program. Dispersion, which ends at the same cutoff, does not count. In a neutral
    molecule that is much smaller than the cutoff, ``wolf`` has no error, and that of ``compat`` falls only with the
    inverse of the cutoff: charges depend on positions, so that the missing self term is a missing force.

    Args:
        potential: A potential with electrostatics, in any mode.
        atoms: The structure, a molecule or a cell.
        cutoffs: Values of ``long_range_cutoff`` in Å.

    Returns:
        One row for each mode (``wolf``, ``compat``) and cutoff: ``mode``, ``cutoff_A``, and of the differences
        between forces the length of the largest, ``largest_force_error_eV_A``, and the root mean square of the
        components, ``force_rms_error_eV_A``.

    Raises:
        ValueError: If there is no cutoff or an impossible one, the model predicts no charges, or it can say nothing
            about the structure.
    """
    if not len(cutoffs):
        raise ValueError("cutoffs must hold at least one radius in Å, such as 12, got none")
    potential.check_structure(atoms)
    exact = potential.with_electrostatics("exact").settings
    kinds = [(mode, float(cutoff)) for mode in TRUNCATED for cutoff in cutoffs]
    truncated = tuple(replace(exact, electrostatics=mode, long_range_cutoff=cutoff) for mode, cutoff in kinds)
    graph = build_graph([atoms], exact.cutoff, dtype=potential.dtype)
    needs = LongRangeNeeds(None, float(max(cutoffs)), exact.screening_length)
    with precision(potential.dtype):
        errors = _force_errors(exact, truncated, potential.parameters, with_long_range(graph, [atoms], needs))
    rows = [
        {
            "mode": mode,
            "cutoff_A": cutoff,
            "largest_force_error_eV_A": float(np.linalg.norm(error, axis=1).max()),
            "force_rms_error_eV_A": float(np.sqrt(np.mean(error**2))),
        }
        for (mode, cutoff), error in zip(kinds, np.asarray(errors, np.float64), strict=True)
    ]
    return pd.DataFrame(rows)


@functools.partial(jax.jit, static_argnames=("exact", "truncated"))
def _force_errors(
    exact: ModelSettings, truncated: tuple[ModelSettings, ...], parameters, graph: Graph
) -> Float[Array, "modes atoms 3"]:
    """Forces with each truncated mode less those with the exact one, in eV/Å: one network, many energies."""

    def differences(positions) -> Float[Array, " modes"]:
        moved = graph._replace(positions=positions)
        charges, far = run_network(exact, parameters, moved).partial_charges, moved.long_range_graph
        assert charges is not None
        distances = safe_norm(displacements(far))
        energies = [
            electrostatics_term(charges, distances, far, None, settings).energies[0] for settings in (exact, *truncated)
        ]
        return jnp.stack(energies[1:]) - energies[0]

    return -jax.jacrev(differences)(jnp.asarray(graph.positions))
