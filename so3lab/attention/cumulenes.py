"""A molecule on which the reach of a network shows: cumulenes, C_nH4, straight chains of double bonds.

Their π bonds hold the two CH2 groups at the ends in one plane where the number of carbons is even, and perpendicular to
each other where it is odd, at any length. A network sees this as far as its cutoff reaches, and no further.

Source: the molecule is that of Frank, Unke and Müller, NeurIPS 2022 (So3krates), and of Euclidean fast attention
(2024); the geometry here is made of usual bond lengths.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ase
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from so3lab.attention.reach import pairs_that_see_both
from so3lab.engine.energy_model import run_network
from so3lab.engine.hessians import products
from so3lab.network.settings import ModelSettings
from so3lab.potential.potential import Potential
from so3lab.structures.graph import Graph

OUTER_BOND, INNER_BOND, CH_BOND = 1.31, 1.27, 1.09
"""Å, of the double bonds at the ends and between, and of the hydrogens."""
HCH_DEG = 116.0


def cumulene(carbons: int, torsion_deg: float | None = None) -> ase.Atoms:
    """C_nH4: two hydrogens, the carbons along x, two hydrogens.

    Args:
        carbons: How many, at least 2.
        torsion_deg: Angle between the planes of the two CH2 groups; default: where the π bonds hold them, 0 for an even
            number of carbons and 90 for an odd one.

    Raises:
        ValueError: If there are fewer than two carbons.
    """
    if carbons < 2:
        raise ValueError(f"carbons must be at least 2, got {carbons}")
    torsion = np.radians(90.0 * (carbons % 2) if torsion_deg is None else torsion_deg)
    lengths = np.full(carbons - 1, INNER_BOND)
    lengths[[0, -1]] = OUTER_BOND
    x = np.concatenate([[0.0], np.cumsum(lengths)])
    half = np.radians(HCH_DEG / 2)
    along, aside = CH_BOND * np.cos(half), CH_BOND * np.sin(half)
    left = [[-along, side * aside, 0.0] for side in (1, -1)]
    right = [[x[-1] + along, s * aside * np.cos(torsion), s * aside * np.sin(torsion)] for s in (1, -1)]
    positions = np.array([*left, *([place, 0.0, 0.0] for place in x), *right])
    positions[:, 0] -= x[-1] / 2
    return ase.Atoms(f"H2C{carbons}H2", positions, info={"charge": 0})


def ends(atoms: ase.Atoms) -> tuple[list[int], list[int]]:
    """The hydrogens of the two ends of a :func:`cumulene`."""
    return [0, 1], [len(atoms) - 2, len(atoms) - 1]


def sees_torsion(carbons: int, cutoff: float) -> bool:
    """Whether a network of this cutoff (Å), two layers and degree 2 can see the torsion of C_nH4, by its graph."""
    atoms = cumulene(carbons)
    return len(pairs_that_see_both(atoms, *ends(atoms), cutoff)) > 0


def torsion_scan(
    potential: Potential, carbons: Sequence[int], torsions_deg: Sequence[float] = tuple(range(0, 181, 15))
) -> pd.DataFrame:
    """Energies of cumulenes over the angle between their ends, everything else held.

    Args:
        potential: The potential; double precision shows how flat a flat curve is.
        carbons: Numbers of carbons.
        torsions_deg: Angles.

    Returns:
        Columns ``carbons``, ``torsion_deg``, ``energy`` and ``learned``, the part that the network says by itself; eV,
        from the lowest total of each molecule, at which both are 0.
    """
    made = [(number, angle, cumulene(number, angle)) for number in carbons for angle in torsions_deg]
    results = potential.predict([atoms for _, _, atoms in made])
    table = pd.DataFrame(
        {
            "carbons": [number for number, _, _ in made],
            "torsion_deg": [float(angle) for _, angle, _ in made],
            "energy": [result.energy for result in results],
            "learned": [result.energy_terms["learned"] for result in results],
        }
    )
    lowest = table.loc[table.groupby("carbons")["energy"].transform("idxmin")].set_index(table.index)
    return table.assign(energy=table["energy"] - lowest["energy"], learned=table["learned"] - lowest["learned"])


def torsion_coupling(potential: Potential, carbons: Sequence[int], torsion_deg: float | None = None) -> pd.DataFrame:
    r"""How the two ends of cumulenes feel each other turn: :math:`\partial^2 E/\partial\varphi_A\,\partial\varphi_B`.

    Exact, in double precision: the Hessian between the directions in which the hydrogens of the ends turn.

    Args:
        potential: The potential.
        carbons: Numbers of carbons.
        torsion_deg: Where; default: where the π bonds hold the ends, see :func:`cumulene`.

    Returns:
        One row per number of carbons: ``carbons``, ``length`` (Å from the hydrogens of one end to those of the other,
        along the axis), ``coupling`` of the energy and ``learned_coupling`` of what the network says by itself
        (eV/rad²), and ``sees_torsion``, what :func:`sees_torsion` says of the network's graph.
    """
    structures = [cumulene(number, torsion_deg) for number in carbons]
    twice = [*structures, *structures]
    model = potential.plain_model._replace(energy=_energy_and_learned(potential.settings))
    changes = products(model, twice, np.concatenate([_turning(atoms, 1) for atoms in twice])[None]).gradients[0]
    parts = np.split(np.asarray(changes), np.cumsum([len(atoms) for atoms in twice])[:-1])
    couplings = [float(np.sum(part * _turning(atoms, 0))) for part, atoms in zip(parts, twice, strict=True)]
    return pd.DataFrame(
        {
            "carbons": list(carbons),
            "length": [float(np.ptp(atoms.positions[:, 0])) for atoms in structures],
            "coupling": couplings[: len(structures)],
            "learned_coupling": couplings[len(structures) :],
            "sees_torsion": [sees_torsion(number, potential.settings.cutoff) for number in carbons],
        }
    )


def _turning(atoms: ase.Atoms, end: int) -> Float[np.ndarray, "atoms 3"]:
    """In which direction each atom moves, per radian, when an end is turned about the axis."""
    moving = np.zeros((len(atoms), 3))
    chosen = ends(atoms)[end]
    moving[chosen] = np.cross([1.0, 0.0, 0.0], atoms.positions[chosen])
    return moving


@functools.lru_cache(maxsize=32)
def _energy_and_learned(settings: ModelSettings) -> Callable[..., Float[Array, " structures"]]:
    """Energies of the first half of the structures, and what the network says by itself of the second half: one program
    for both. The same function for the same settings."""

    def energy(parameters: Any, graph: Graph, strain: Any = None) -> Float[Array, " structures"]:
        output = run_network(settings, parameters, graph, strain)
        half = graph.num_structures // 2
        return jnp.concatenate([output.energies[:half], output.terms["learned"][half:]])

    return energy
