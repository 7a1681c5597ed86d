"""What a study keeps of its simulations, and the tables that it makes of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pandas as pd

from so3lab.datasets import Dataset
from so3lab.observables import bond_lengths, bonds, histogram_error, pair_distance_histogram
from so3lab.stability.criterion import first_unstable_frame, survival_interval
from so3lab.trajectory import Trajectory
from so3lab.trajectory.names import replica_path


@dataclass(frozen=True)
class Stability:
    """The state of a study, as tables; times in ps, lengths in Å."""

    progress: float
    """Share of the steps that are done, 1 at the end."""
    time_ps: float
    """How far the replicas are."""
    replicas: pd.DataFrame
    """One row per simulation: ``replica``, ``temperature_K``, ``seed``, ``stable_ps`` (the largest time for which it
    was stable: all of it, or until the first unstable frame), ``unstable_at_ps`` (NaN when stable),
    ``largest_deviation_A`` of any bond from its mean (up to the first unstable frame), ``bond`` (which one),
    ``mean_temperature_K`` and ``h_error`` (both of the stable part)."""
    temperatures: pd.DataFrame
    """One row per temperature: ``temperature_K``, ``replicas``, ``survived``, ``fraction_survived`` with its 2σ
    interval ``fraction_low`` to ``fraction_high`` (:func:`~so3lab.stability.survival_interval`), means ``stable_ps``
    and ``h_error`` with ``stable_ps_error`` and ``h_error_error`` (twice the standard error), and
    ``largest_deviation_A``."""
    deviations: pd.DataFrame
    """One row per frame, up to the first unstable one: ``replica``, ``temperature_K``, ``time_ps``,
    ``largest_deviation_A`` of all bonds."""
    distances: pd.DataFrame
    """h(r) of the stable parts: ``temperature_K``, ``r``, ``simulated``, ``reference`` (NaN without), in 1/Å."""
    forces: pd.DataFrame | None
    """Errors on labelled frames, one row each (:attr:`so3lab.training.evaluation.Evaluation.structures`)."""


class ReplicaRecord:
    """What is kept of one replica."""

    def __init__(self) -> None:
        self.positions: list[np.ndarray] = []
        self.lengths: list[np.ndarray] = []
        self.temperatures: list[np.ndarray] = []
        self.frames = 0
        self._histogram: pd.DataFrame | None = None
        self._counted = 0

    def add(self, positions: np.ndarray, temperatures: np.ndarray, pairs: np.ndarray) -> None:
        if len(positions):
            self.positions.append(np.asarray(positions, np.float32))
            self.lengths.append(bond_lengths(positions, pairs))
            self.temperatures.append(np.asarray(temperatures))
            self.frames += len(positions)

    def histogram(self, stable: int) -> pd.DataFrame | None:
        """h(r) of the first so many frames; only those that are new are counted."""
        if stable < self._counted:  # without a reference, later frames may move the mean that decides
            self._histogram, self._counted = None, 0
        if stable > self._counted:
            fresh = pair_distance_histogram(_from(self.positions, self._counted, stable))
            if self._histogram is not None:
                share = self._counted / stable
                fresh["h"] = share * self._histogram["h"] + (1.0 - share) * fresh["h"]
            self._histogram, self._counted = fresh, stable
        return self._histogram


def _from(blocks: list[np.ndarray], start: int, stop: int) -> np.ndarray:
    """Frames ``start`` to ``stop`` of consecutive blocks."""
    chosen, first = [], 0
    for block in blocks:
        chosen.append(block[max(start - first, 0) : max(stop - first, 0)])
        first += len(block)
    return np.concatenate(chosen)


class StabilityAccumulator:
    """Records of all replicas, and the tables made of them."""

    def __init__(
        self,
        atoms: ase.Atoms,
        temperatures_K: list[float],
        seed: int,
        spacing_ps: float,
        reference: Dataset | None,
        tolerance: float,
        forces: pd.DataFrame | None,
    ):
        self._temperatures, self._seed, self._spacing = temperatures_K, seed, spacing_ps
        self._pairs, self._tolerance, self._forces = bonds(atoms), tolerance, forces
        symbols = atoms.get_chemical_symbols()
        self._names = [f"{symbols[i]}{i}-{symbols[j]}{j}" for i, j in self._pairs]
        self._mean_lengths = self._reference = None
        if reference is not None:
            positions = np.stack(list(reference.positions))
            self._mean_lengths = bond_lengths(positions, self._pairs).mean(axis=0)
            self._reference = pair_distance_histogram(positions)
        self._records = [ReplicaRecord() for _ in temperatures_K]
        self.all_ended = False

    @property
    def empty(self) -> bool:
        """Whether there is no frame yet."""
        return not any(record.frames for record in self._records)

    def add(self, frames: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Positions and temperatures of new frames of every replica; none where one has ended."""
        for record, (positions, temperatures) in zip(self._records, frames, strict=True):
            record.add(positions, temperatures, self._pairs)

    def read(self, folder: Path, settings: dict[str, Any]) -> None:
        """The frames of an earlier run, as far as its restart state vouches for them."""
        paths = [replica_path(folder, number) for number in range(len(self._records))]
        with Trajectory(paths[0]) as first:
            before, state = first.meta.get("stability", {}), first.restart_state()
        for name in sorted(settings.keys() | before.keys()):
            if settings.get(name) != before.get(name):
                raise ValueError(
                    f"{name} must be that of the study in {folder} to resume it, {before.get(name)!r}; "
                    f"got {settings.get(name)!r}"
                )
        if state is None:
            raise ValueError(f"{paths[0]} holds no state to go on from; start the study again in another folder")
        frames = []
        for path, count in zip(paths, state["frames_written"].tolist(), strict=True):
            with Trajectory(path) as trajectory:
                temperatures = trajectory.table()["temperature"].to_numpy()[:count]
                frames.append((trajectory.positions(slice(0, count)), temperatures))
        self.add(frames)

    def summary(self, last_frame: int, finished: bool = False) -> Stability:
        """All tables as of now."""
        reached = max(record.frames for record in self._records) - 1
        rows, deviations, histograms = [], [], []
        for number, record in enumerate(self._records):
            bonds = first_unstable_frame(np.concatenate(record.lengths), self._mean_lengths, self._tolerance)
            stable, seen = bonds.stable_frames, len(bonds.deviations_A)
            ended = stable < record.frames or record.frames <= reached or self.all_ended
            histogram = record.histogram(stable)
            histograms.append((stable, histogram))
            h_error = np.nan
            if histogram is not None and self._reference is not None:
                h_error = histogram_error(histogram, self._reference)
            rows.append(
                {
                    "replica": number,
                    "temperature_K": self._temperatures[number],
                    "seed": self._seed + number,
                    "stable_ps": self._spacing * (stable if ended else reached),
                    "unstable_at_ps": self._spacing * stable if ended else np.nan,
                    "largest_deviation_A": bonds.deviations_A.max(),
                    "bond": self._names[bonds.worst_bond],
                    "mean_temperature_K": _mean(np.concatenate(record.temperatures)[:stable]),
                    "h_error": h_error,
                }
            )
            deviations.append(
                pd.DataFrame(
                    {
                        "replica": number,
                        "temperature_K": self._temperatures[number],
                        "time_ps": self._spacing * np.arange(seen),
                        "largest_deviation_A": bonds.deviations_A,
                    }
                )
            )
        table = pd.DataFrame(rows)
        return Stability(
            1.0 if finished else min(1.0, reached / last_frame),
            self._spacing * reached,
            table,
            by_temperature(table),
            pd.concat(deviations, ignore_index=True),
            self._distances(histograms),
            self._forces,
        )

    def _distances(self, histograms: list[tuple[int, pd.DataFrame | None]]) -> pd.DataFrame:
        """h(r) at each temperature, all replicas together, each frame with the same weight."""
        tables = []
        for temperature in dict.fromkeys(self._temperatures):
            of_it = [
                (frames, histogram)
                for frames, histogram, own in zip(*zip(*histograms, strict=True), self._temperatures, strict=True)
                if own == temperature and histogram is not None
            ]
            if not of_it:
                continue
            total = sum(frames for frames, _ in of_it)
            mean = sum(frames / total * histogram["h"].to_numpy() for frames, histogram in of_it)
            reference = np.nan if self._reference is None else self._reference["h"].to_numpy()
            r = of_it[0][1]["r"].to_numpy()
            tables.append(
                pd.DataFrame({"temperature_K": temperature, "r": r, "simulated": mean, "reference": reference})
            )
        columns = ["temperature_K", "r", "simulated", "reference"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns, dtype=float)


def by_temperature(replicas: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for temperature, group in replicas.groupby("temperature_K", sort=False):
        survived = int(group["unstable_at_ps"].isna().sum())
        low, high = survival_interval(survived, len(group))
        rows.append(
            {
                "temperature_K": temperature,
                "replicas": len(group),
                "survived": survived,
                "fraction_survived": survived / len(group),
                "fraction_low": low,
                "fraction_high": high,
                "stable_ps": group["stable_ps"].mean(),
                "stable_ps_error": _two_sigma(group["stable_ps"]),
                "largest_deviation_A": group["largest_deviation_A"].max(),
                "h_error": _mean(group["h_error"].dropna()),
                "h_error_error": _two_sigma(group["h_error"].dropna()),
            }
        )
    return pd.DataFrame(rows)


def _mean(values: np.ndarray | pd.Series) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _two_sigma(values: pd.Series) -> float:
    """Twice the standard error of the mean; NaN for a single value."""
    return float(2.0 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
