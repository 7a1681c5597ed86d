"""What a network might say of a structure, by a formula: for tests of what is drawn of it."""

import numpy as np
import pandas as pd
from ase import Atoms

from so3lab.attention import Channel, Inside, attention_matrix, channels
from so3lab.network.settings import ModelSettings
from so3lab.network.so3krates import AttentionWeights
from so3lab.structures.graph import structure_pairs

SETTINGS = ModelSettings(num_features=4, num_layers=2, num_heads=2, degrees=(1, 2), cutoff=2.6, electrostatics="exact")


def fake_look(potential: object, atoms: Atoms) -> Inside:
    """Weights that fall off with distance, of a sign and size for each channel and direction."""
    pairs = structure_pairs(atoms, SETTINGS.cutoff)
    distances = np.linalg.norm(atoms.positions[pairs.senders] - atoms.positions[pairs.receivers], axis=1)
    decay = np.exp(-distances)
    sizes = np.arange(1.0, 1 + len(channels(SETTINGS))) * (-1.0) ** np.arange(len(channels(SETTINGS)))
    weights = sizes.reshape(2, 1, 1, 4) * np.stack([decay, 0.5 * decay])[None, :, :, None]
    atomic = np.arange(len(atoms), dtype=float)
    return Inside(
        settings=SETTINGS,
        numbers=atoms.numbers.copy(),
        first=pairs.receivers.astype(int),
        second=pairs.senders.astype(int),
        distances=distances,
        attention=AttentionWeights(weights[..., :2], weights[..., 2:]),
        energies=-atomic,
        charges=0.1 * (atomic - atomic.mean()),
        features=atomic[:, None] * np.array([1.0, 2.0, 0.0, 1.0]) + atoms.positions[:, :1],
        euclidean_variables=np.tile(atomic[:, None], (1, 8)),
    )


def fake_respond(potential: object, atoms: Atoms, moved: list[int]) -> pd.DataFrame:
    """Responses that fall off with distance, at any distance."""
    rows = [(i, j, atoms.get_distance(i, j)) for j in moved for i in range(len(atoms)) if i != j]
    table = pd.DataFrame(rows, columns=["receiver", "sender", "distance"])
    near = np.exp(-2 * table["distance"])
    return table.assign(force_response=near, charge_response=0.1 * near, energy_response=0.2 * near)


def fake_displace(potential: object, atoms: Atoms, moved: int, distance: float) -> pd.DataFrame:
    """Changes in proportion to these."""
    found = fake_respond(potential, atoms, [moved])
    changes = {name.replace("response", "change"): distance * found[name] for name in found if "response" in name}
    return found[["receiver", "sender", "distance"]].assign(**changes)


def expected_pair(atoms: Atoms, one: int, other: int, channel: Channel) -> float:
    """What both directions of a pair sum to."""
    matrix = attention_matrix(fake_look(None, atoms), channel)
    return float(matrix[one, other] + matrix[other, one])
