"""What is in a labelled set: one row per frame, how energies and forces are spread, and which frames stand out."""

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from ase.formula import Formula
from jaxtyping import Float, Integer

from so3lab.datasets.dataset import Dataset, energy_shifts

USUAL_SPREADS = 8.0
"""Spreads from the median beyond which a frame stands out: thermal energies and forces, skewed as they are, have
few."""
FEWEST_FRAMES = 20
"""Frames of one molecule from which the usual can be told."""
_QUARTILES = 1.349
"""Between the quartiles of a normal distribution, in standard deviations."""


def frame_table(dataset: Dataset) -> pd.DataFrame:
    """A row per frame.

    Columns: ``frame`` (its number), ``molecule`` (its formula), ``atoms``, ``relative_energy`` (eV, to what element
    shifts explain; for frames of one molecule to their mean), ``force_rms`` (per component) and ``largest_force`` in
    eV/Å, and ``atom``, on which that acts.
    """
    shifts = energy_shifts(dataset)
    first = np.unique(dataset.molecules, return_index=True)[1]
    names = [str(Formula.from_list([chemical_symbols[z] for z in dataset.numbers[i]]).format("hill")) for i in first]
    sums = np.array([sum(shifts[int(z)] for z in dataset.numbers[i]) for i in first])
    lengths = np.linalg.norm(np.concatenate(dataset.forces), axis=1)
    starts = np.cumsum(dataset.sizes) - dataset.sizes
    strongest = np.maximum.reduceat(lengths, starts)
    atoms = [int(part.argmax()) for part in np.split(lengths, starts[1:])]
    return pd.DataFrame(
        {
            "frame": np.arange(len(dataset)),
            "molecule": np.array(names, object)[dataset.molecules],
            "atoms": dataset.sizes,
            "relative_energy": dataset.energies - sums[dataset.molecules],
            "force_rms": np.sqrt(np.add.reduceat(lengths**2, starts) / (3.0 * dataset.sizes)),
            "largest_force": strongest,
            "atom": atoms,
        }
    )


def energy_distribution(frames: pd.DataFrame, bins: int = 50) -> pd.DataFrame:
    """How relative energies are spread.

    Args:
        frames: As :func:`frame_table` gives it.
        bins: How many parts of equal width.

    Returns:
        Columns ``low``, ``high`` (eV) and ``frames``; a frame is in the part where low ≤ energy < high, the last one
        included.
    """
    return _counted(frames["relative_energy"].to_numpy(), _edges(frames["relative_energy"].to_numpy(), bins), "frames")


def force_distribution(dataset: Dataset, bins: int = 61) -> pd.DataFrame:
    """How force components are spread, element by element.

    Returns:
        Columns ``element``, ``low``, ``high`` (eV/Å, symmetric about zero) and ``components``.
    """
    numbers, forces = np.concatenate(dataset.numbers), np.concatenate(dataset.forces)
    widest = float(np.abs(forces).max()) or 1.0
    edges = np.linspace(-widest, widest, bins + 1)
    tables = [
        _counted(forces[numbers == z].ravel(), edges, "components").assign(element=chemical_symbols[z])
        for z in dataset.elements
    ]
    return pd.concat(tables, ignore_index=True)[["element", "low", "high", "components"]]


def frames_with_energy(frames: pd.DataFrame, low: float, high: float) -> Integer[np.ndarray, " found"]:
    """Numbers of the frames whose relative energy (eV) lies in a part of :func:`energy_distribution`."""
    energy = frames["relative_energy"]
    return frames["frame"].to_numpy()[((energy >= low) & (energy <= high)).to_numpy()]


def frames_with_force(dataset: Dataset, element: str, low: float, high: float) -> Integer[np.ndarray, " found"]:
    """Numbers of the frames in which a force component (eV/Å) on an element lies in a part of `force_distribution`.

    Raises:
        ValueError: If the set has no such element.
    """
    if element not in chemical_symbols or chemical_symbols.index(element) not in dataset.elements:
        known = ", ".join(chemical_symbols[z] for z in dataset.elements)
        raise ValueError(f"element must be one of {known}, got {element!r}")
    numbers, forces = np.concatenate(dataset.numbers), np.concatenate(dataset.forces)
    frame_of = np.repeat(np.arange(len(dataset)), dataset.sizes)
    inside = ((forces >= low) & (forces <= high)).any(axis=1) & (numbers == chemical_symbols.index(element))
    return np.unique(frame_of[inside])


def outliers(dataset: Dataset, frames: pd.DataFrame | None = None, spreads: float = USUAL_SPREADS) -> pd.DataFrame:
    r"""Frames whose energy or largest force is far from what is usual for their molecule, the farthest first.

    .. math:: \left| x - \mathrm{median} \right| > \text{spreads} \cdot (q_{75} - q_{25}) / 1.349

    so that outliers themselves do not decide what is usual. Molecules with less than ``FEWEST_FRAMES`` frames are left
    alone.

    Args:
        dataset: The set.
        frames: Its :func:`frame_table`, where that is at hand.
        spreads: How far is far.

    Returns:
        Columns ``frame``, ``quantity`` (``energy`` in eV, ``force`` in eV/Å), ``value``, ``median``, ``spreads`` (how
        many it is away), ``atom`` (-1 for energies) and ``sentence``.

    Raises:
        ValueError: If ``spreads`` is not positive.
    """
    if not spreads > 0:
        raise ValueError(f"spreads must be positive, got {spreads}")
    frames = frame_table(dataset) if frames is None else frames
    rows = []
    for _, group in frames.groupby("molecule", sort=False):
        if len(group) < FEWEST_FRAMES:
            continue
        for quantity, column in (("energy", "relative_energy"), ("force", "largest_force")):
            values = group[column].to_numpy()
            low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
            if not high > low:
                continue
            away = np.abs(values - median) / ((high - low) / _QUARTILES)
            for which in np.flatnonzero(away > spreads):
                frame = group.iloc[int(which)]
                rows.append(_outlier(dataset, quantity, frame, float(values[which]), median, float(away[which])))
    columns = ["frame", "quantity", "value", "median", "spreads", "atom", "sentence"]
    return pd.DataFrame(rows, columns=columns).sort_values("spreads", ascending=False, ignore_index=True)


def _outlier(
    dataset: Dataset, quantity: str, frame: pd.Series, value: float, median: float, away: float
) -> tuple[int, str, float, float, float, int, str]:
    number, atom = int(frame["frame"]), int(frame["atom"])
    if quantity == "energy":
        words = f"energy {value:+.2f} eV, {away:.0f} spreads from the usual {median:+.2f} eV"
        return number, quantity, value, median, away, -1, words
    symbol = chemical_symbols[dataset.numbers[number][atom]]
    words = f"force of {value:.1f} eV/Å on {symbol}{atom}, {away:.0f} spreads from the usual {median:.1f} eV/Å"
    return number, quantity, value, median, away, atom, words


def _edges(values: Float[np.ndarray, " values"], bins: int) -> Float[np.ndarray, " edges"]:
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high, bins + 1) if high > low else np.array([low - 0.5, low + 0.5])


def _counted(values: Float[np.ndarray, " values"], edges: Float[np.ndarray, " edges"], what: str) -> pd.DataFrame:
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], what: np.histogram(values, edges)[0]})
