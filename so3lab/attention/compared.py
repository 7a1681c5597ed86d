"""How attention changes: along frames, on average over them, and from one structure or model to another."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.attention.channels import Channel, channels
from so3lab.attention.look import Inside, look_inside
from so3lab.attention.pairs import ALL, attention_matrix, nearest_distances
from so3lab.potential.potential import Potential

_KEYS = ["layer", "kind", "head_or_degree", "receiver", "sender"]


def pair_series(
    potential: Potential,
    frames: Iterable[ase.Atoms],
    pairs: Sequence[tuple[int, int]],
    channel: Channel = ALL,
    *,
    look: Callable[[Potential, ase.Atoms], Inside] = look_inside,
) -> Iterator[Float[np.ndarray, " pairs"]]:
    """Attention of some pairs in one frame after the other, the sum of both directions; 0 beyond the cutoff.

    Args:
        potential: The potential.
        frames: Structures of the same atoms; an open trajectory will do.
        pairs: Two different atoms each.
        channel: Which attention.
        look: How a structure is looked at.

    Raises:
        ValueError: If a pair is none of the structure, or the network has no such channel.
    """
    chosen = np.array(pairs, int).reshape(-1, 2)
    for atoms in frames:
        if chosen.size and not ((chosen >= 0) & (chosen < len(atoms))).all():
            raise ValueError(f"pairs must be of atoms 0 to {len(atoms) - 1}, got {chosen.tolist()}")
        matrix = attention_matrix(look(potential, atoms), channel)
        yield matrix[chosen[:, 0], chosen[:, 1]] + matrix[chosen[:, 1], chosen[:, 0]]


def mean_over_frames(potential: Potential, frames: Iterable[ase.Atoms]) -> pd.DataFrame:
    """Attention of all pairs that are ever within the cutoff, on average over frames.

    Args:
        potential: The potential.
        frames: Structures of the same atoms in the same order.

    Returns:
        Columns of :func:`~so3lab.attention.attention_table` with means over frames (of ``distance`` over those in which
        the pair is within the cutoff), and ``deviation``, the standard deviation of the weight over all frames, and
        ``share`` of the frames in which the pair is within the cutoff.

    Raises:
        ValueError: If there is no frame, or they are not of the same atoms.
    """
    count, numbers, members = 0, np.zeros(0, int), list[Channel]()
    total: np.ndarray
    squares: np.ndarray
    length: np.ndarray
    present: np.ndarray
    for atoms in frames:
        inside = look_inside(potential, atoms)
        if not count:
            numbers, members = atoms.numbers, channels(inside.settings)
            total, squares = (np.zeros((len(members), len(atoms), len(atoms))) for _ in range(2))
            length, present = (np.zeros((len(atoms), len(atoms))) for _ in range(2))
        if not np.array_equal(atoms.numbers, numbers):
            raise ValueError(
                f"frames must be of the same atoms, got {atoms.get_chemical_formula()} as number {count} after others"
            )
        weights = np.stack([attention_matrix(inside, one) for one in members])
        distances = nearest_distances(inside)
        near = np.isfinite(distances)
        total, squares, present = total + weights, squares + weights**2, present + near
        length = length + np.where(near, distances, 0.0)
        count += 1
    if not count:
        raise ValueError("frames must hold at least one structure, got none")
    receiver, sender = np.nonzero(present)
    mean = total[:, receiver, sender] / count
    spread = np.sqrt(np.maximum(squares[:, receiver, sender] / count - mean**2, 0.0))
    pairs, kinds = len(receiver), len(members)
    return pd.DataFrame(
        {
            "layer": np.repeat([one.layer for one in members], pairs),
            "kind": np.repeat([str(one.kind) for one in members], pairs),
            "head_or_degree": np.repeat([one.number for one in members], pairs),
            "receiver": np.tile(receiver, kinds),
            "sender": np.tile(sender, kinds),
            "distance": np.tile(length[receiver, sender] / present[receiver, sender], kinds),
            "weight": mean.ravel(),
            "deviation": spread.ravel(),
            "share": np.tile(present[receiver, sender] / count, kinds),
        }
    )


def attention_difference(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """What changes from one table of attention to another: of two structures of the same atoms, or of two models.

    Weights of several periodic images of a pair are summed. A pair that one of them does not have counts as zero there.
    Heads have no order, so that those of two models that were trained apart compare by chance; layers do.

    Args:
        one: From :func:`~so3lab.attention.attention_table` or :func:`mean_over_frames`.
        other: The same of another structure or model.

    Returns:
        Columns ``layer``, ``kind``, ``head_or_degree``, ``receiver``, ``sender``, ``distance_one``, ``distance_other``
        (Å, NaN where the pair is not within the cutoff), ``weight_one``, ``weight_other`` and ``difference``.
    """
    sides = []
    for table in (one, other):
        missing = [column for column in (*_KEYS, "distance", "weight") if column not in table]
        if missing:
            raise ValueError(f"both tables must be of attention_table, one lacks {', '.join(missing)}")
        sides.append(table.groupby(_KEYS).agg(distance=("distance", "min"), weight=("weight", "sum")))
    joined = pd.merge(sides[0], sides[1], on=_KEYS, how="outer", suffixes=("_one", "_other")).reset_index()
    joined[["weight_one", "weight_other"]] = joined[["weight_one", "weight_other"]].fillna(0.0)
    return joined.assign(difference=joined["weight_other"] - joined["weight_one"])
