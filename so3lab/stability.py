"""Does a molecule hold together in a model's dynamics, and does it move like its reference?

The protocol of "Forces are not enough" (Fu et al., TMLR 2023, section 4) as the SO3krates paper (Frank et al., Nat.
Commun. 15, 6539, 2024) uses it: several simulations at each temperature, each stable until a bond strays from its mean
length; how many survive, and how far their interatomic distances h(r) are from reference frames.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab import datasets
from so3lab.datasets import Dataset
from so3lab.datasets.sources import BUNDLED
from so3lab.dynamics import Ensemble, Limits, SimulationError, run_replicas
from so3lab.force_field import ForceField
from so3lab.observables import (
    STABILITY_TOLERANCE,
    bond_lengths,
    bonds,
    histogram_error,
    pair_distance_histogram,
)
from so3lab.potential import Potential
from so3lab.trajectory import Trajectory

LIMITS = Limits(bond_stretch=2.0, energy_jump=None, heat=None)
"""What ends a replica's run before its time, found at every step.

The protocol judges frames, and calls a bond broken at 0.5 Å. Limits that strike earlier would judge in its place; these
only put away a molecule that has come apart, so that it costs nothing more, and one whose numbers are not finite.
"""
SECONDS_PER_CHUNK = 5.0


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
    interval ``fraction_low`` to ``fraction_high`` (:func:`survival_interval`), means ``stable_ps`` and ``h_error`` with
    ``stable_ps_error`` and ``h_error_error`` (twice the standard error), and ``largest_deviation_A``."""
    deviations: pd.DataFrame
    """One row per frame, up to the first unstable one: ``replica``, ``temperature_K``, ``time_ps``,
    ``largest_deviation_A`` of all bonds."""
    distances: pd.DataFrame
    """h(r) of the stable parts: ``temperature_K``, ``r``, ``simulated``, ``reference`` (NaN without), in 1/Å."""
    forces: pd.DataFrame | None
    """Errors on labelled frames, one row each (:attr:`so3lab.training.evaluation.Evaluation.structures`)."""


class Verdict(NamedTuple):
    """What the bond criterion says about one trajectory."""

    stable_frames: int
    """Frames before the first unstable one."""
    deviations_A: Float[np.ndarray, " judged"]
    """Largest deviation of any bond in each frame, up to the first unstable one."""
    worst_bond: int
    """Index of the bond that strayed farthest."""


def judge(
    lengths: Float[np.ndarray, "frames bonds"],
    mean_lengths: Float[np.ndarray, " bonds"] | None = None,
    tolerance: float = STABILITY_TOLERANCE,
) -> Verdict:
    """Until which frame a trajectory is stable: the first in which a bond strays from its mean by more than 0.5 Å.

    Args:
        lengths: Bond lengths in every frame, Å.
        mean_lengths: Mean of each bond in reference data, Å. Without it a frame is compared with the mean of the frames
            before it, and deviations are given from the mean over the stable part.
        tolerance: Å.

    Source: Fu et al., TMLR 2023, section 4, "stability".
    """
    lengths = np.asarray(lengths, np.float64)
    if mean_lengths is None:
        counts = np.maximum(np.arange(len(lengths)), 1)[:, None]
        before = np.vstack([lengths[:1], np.cumsum(lengths, axis=0)[:-1]]) / counts
        strayed = np.abs(lengths - before) > tolerance
    else:
        strayed = np.abs(lengths - np.asarray(mean_lengths)) > tolerance
    unstable = np.flatnonzero(strayed.any(axis=1))
    stable = int(unstable[0]) if len(unstable) else len(lengths)
    if mean_lengths is None:
        mean_lengths = lengths[: max(stable, 1)].mean(axis=0)
    deviation = np.abs(lengths[: stable + 1] - mean_lengths)
    if not deviation.size:
        return Verdict(stable, np.zeros(len(deviation)), 0)
    return Verdict(
        stable, deviation.max(axis=1), int(np.unravel_index(deviation.argmax(), deviation.shape)[1])
    )


def survival_interval(survived: int, replicas: int, sigmas: float = 2.0) -> tuple[float, float]:
    r"""Interval of the true fraction that survives, when so many of so many did; sensible for none and all, too.

    .. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4n^2}}{1 + z^2 / n}

    which is [0.6, 1] when all six of six survive, and not a spurious certainty.

    Args:
        survived: Those that survived.
        replicas: All of them.
        sigmas: z, half the width in standard deviations.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    if not 0 <= survived <= replicas or replicas < 1:
        raise ValueError(f"survived must be 0 to replicas, at least 1; got {survived} of {replicas}")
    share, z = survived / replicas, sigmas
    middle = share + z * z / (2 * replicas)
    half = z * np.sqrt(share * (1 - share) / replicas + (z / (2 * replicas)) ** 2)
    scale = 1.0 + z * z / replicas
    return max(0.0, float((middle - half) / scale)), min(1.0, float((middle + half) / scale))


def reference_for(potential: Potential, atoms: ase.Atoms) -> tuple[Dataset | None, Dataset | None]:
    """Frames of the bundled set that a model was trained on: those of equilibrium dynamics, and those it never saw.

    The first are for distances and bond lengths, the second for force errors. None where the model was trained on
    something else, or the structure is another molecule (or its atoms are in another order).
    """
    name = str(potential.metadata.get("dataset"))
    if name not in BUNDLED:
        return None, None
    data = datasets.load(name)
    if not np.array_equal(data.numbers[0], atoms.numbers):
        return None, None
    sampled = data.select(np.asarray(data.labels["origin"]) == "md") if "origin" in data.labels else data
    held_out = potential.metadata.get("split", {}).get("test_frames")
    return sampled, data.select(held_out) if held_out else None


def study(
    potential: Potential | ForceField,
    atoms: ase.Atoms,
    *,
    temperatures_K: Sequence[float] = (300.0, 500.0),
    replicas: int = 6,
    ps: float = 300.0,
    ensemble: Ensemble = "nose-hoover",
    timestep_fs: float = 0.5,
    friction_per_ps: float = 2.0,
    interval: int = 100,
    seed: int = 0,
    reference: Dataset | None = None,
    labelled: Dataset | None = None,
    tolerance: float = STABILITY_TOLERANCE,
    out: str | Path | None = None,
    resume: bool = False,
    meta: dict[str, Any] | None = None,
) -> Generator[Stability]:
    """Run all replicas at all temperatures as one batch, and judge them while they run.

    Every replica starts from the same structure with its own thermal velocities. One that blows up between two frames
    is unstable at the frame that it did not reach. The study ends early when none is stable any more. Positions are
    kept in memory, 12 bytes per atom, replica and frame; nothing else of the frames is.

    Args:
        potential: A potential, or any :class:`~so3lab.force_field.ForceField`.
        atoms: A molecule; its bonds are those that are watched.
        temperatures_K: Temperatures, one group of replicas each.
        replicas: Simulations at each temperature.
        ps: Length of each.
        ensemble: ``"nose-hoover"`` as in the papers, ``"langevin"`` or ``"csvr"``.
        timestep_fs: Time step.
        friction_per_ps: Of the Langevin thermostat.
        interval: Steps between frames.
        seed: Of the first replica; others count on.
        reference: Frames of the same atoms from the true dynamics: mean bond lengths and h(r). Without them, bonds are
            compared with their own means (:func:`judge`).
        labelled: Frames with energies and forces that the model has not seen, for force errors.
        tolerance: Largest change of a bond, Å.
        out: Folder for the trajectories, ``replica_0000.h5`` and so on.
        resume: Go on with the study in ``out``; ``ps`` may be longer than before, all else must be the same.
        meta: Provenance stored with the trajectories, such as the name of the model; must be the same to resume.

    Yields:
        The study as it stands after each chunk of frames; the last one is the result.

    Raises:
        ValueError: If an argument is not acceptable, or differs from that of the study to resume.
    """
    _check(atoms, temperatures_K, replicas, ps, ensemble, timestep_fs, interval, reference)
    temperatures = [float(t) for t in temperatures_K for _ in range(replicas)]
    settings = {
        "temperatures_K": [float(t) for t in temperatures_K], "replicas": replicas, "ensemble": ensemble,
        "timestep_fs": timestep_fs, "friction_per_ps": friction_per_ps, "interval": interval, "seed": seed,
        **(meta or {}),
    }  # fmt: skip
    forces = None
    if labelled is not None and isinstance(potential, Potential):
        from so3lab.training import evaluate

        forces = evaluate(potential, labelled).structures
    book = _Book(atoms, temperatures, seed, 0.001 * interval * timestep_fs, reference, tolerance, forces)
    if resume:
        if out is None:
            raise ValueError("resume needs out: the folder of the study to go on with")
        book.read(Path(out), settings)
    steps = round(1000.0 * ps / timestep_fs / interval) * interval
    chunks = run_replicas(
        potential, [atoms] * len(temperatures), steps=steps, ensemble=ensemble, temperatures_K=temperatures,
        timestep_fs=timestep_fs, friction_per_ps=friction_per_ps, interval=interval,
        seeds=[seed + number for number in range(len(temperatures))], out=out, resume=resume, limits=LIMITS,
        seconds_per_chunk=SECONDS_PER_CHUNK, meta={"stability": settings},
    )  # fmt: skip
    frames = steps // interval
    with closing(chunks):
        try:
            for chunk in chunks:
                book.add([(of_one.positions, of_one.temperature) for of_one in chunk])
                state = book.summary(frames)
                yield state
                if state.replicas["unstable_at_ps"].notna().all():
                    break
        except SimulationError:
            if book.empty:  # the start itself is beyond the model
                raise
            book.all_ended = True
    yield book.summary(frames, finished=True)


def _check(atoms, temperatures_K, replicas, ps, ensemble, timestep_fs, interval, reference) -> None:
    if atoms.pbc.any():
        raise ValueError(f"atoms must be a free molecule, got atoms.pbc {atoms.pbc.tolist()}")
    if not len(bonds(atoms)):
        raise ValueError(
            f"atoms must have bonds to watch, {atoms.get_chemical_formula()} as it stands has none"
        )
    if not len(temperatures_K) or not all(np.isfinite(t) and t > 0 for t in temperatures_K):
        raise ValueError(f"temperatures_K must be positive numbers, got {list(temperatures_K)}")
    if len(set(temperatures_K)) != len(temperatures_K):
        raise ValueError(
            f"temperatures_K must differ, got {list(temperatures_K)}; ask for more replicas instead"
        )
    if replicas < 1:
        raise ValueError(f"replicas must be at least 1, got {replicas}")
    if ensemble not in ("nose-hoover", "langevin", "csvr"):
        raise ValueError(f"ensemble must be nose-hoover, langevin or csvr, got {ensemble!r}")
    if not timestep_fs > 0 or interval < 1:
        raise ValueError(f"timestep_fs and interval must be positive, got {timestep_fs} and {interval}")
    if not (np.isfinite(ps) and 1000.0 * ps >= interval * timestep_fs):
        raise ValueError(
            f"ps must be at least the {0.001 * interval * timestep_fs:g} ps of one frame, got {ps}"
        )
    if reference is not None and not all(np.array_equal(z, atoms.numbers) for z in reference.numbers):
        raise ValueError(
            f"reference must hold the same atoms in the same order as atoms ({atoms.get_chemical_formula()}); "
            f"{reference.name!r} does not"
        )


class _Record:
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


class _Book:
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
        self._records = [_Record() for _ in temperatures_K]
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
        paths = [folder / f"replica_{number:04d}.h5" for number in range(len(self._records))]
        with Trajectory(paths[0]) as first:
            before, state = first.meta.get("stability", {}), first.restart_state()
        for name in sorted(settings.keys() | before.keys()):
            if settings.get(name) != before.get(name):
                raise ValueError(
                    f"{name} must be that of the study in {folder} to resume it, {before.get(name)!r}; "
                    f"got {settings.get(name)!r}"
                )
        if state is None:
            raise ValueError(
                f"{paths[0]} holds no state to go on from; start the study again in another folder"
            )
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
            verdict = judge(np.concatenate(record.lengths), self._mean_lengths, self._tolerance)
            stable, judged = verdict.stable_frames, len(verdict.deviations_A)
            ended = stable < record.frames or record.frames <= reached or self.all_ended
            histogram = record.histogram(stable)
            histograms.append((stable, histogram))
            h_error = np.nan
            if histogram is not None and self._reference is not None:
                h_error = histogram_error(histogram, self._reference)
            rows.append(
                {
                    "replica": number, "temperature_K": self._temperatures[number], "seed": self._seed + number,
                    "stable_ps": self._spacing * (stable if ended else reached),
                    "unstable_at_ps": self._spacing * stable if ended else np.nan,
                    "largest_deviation_A": verdict.deviations_A.max(),
                    "bond": self._names[verdict.worst_bond],
                    "mean_temperature_K": _mean(np.concatenate(record.temperatures)[:stable]),
                    "h_error": h_error,
                }
            )  # fmt: skip
            deviations.append(
                pd.DataFrame(
                    {
                        "replica": number, "temperature_K": self._temperatures[number],
                        "time_ps": self._spacing * np.arange(judged), "largest_deviation_A": verdict.deviations_A,
                    }
                )
            )  # fmt: skip
        table = pd.DataFrame(rows)
        return Stability(
            1.0 if finished else min(1.0, reached / last_frame), self._spacing * reached, table, _by_temperature(table),
            pd.concat(deviations, ignore_index=True), self._distances(histograms), self._forces,
        )  # fmt: skip

    def _distances(self, histograms: list[tuple[int, pd.DataFrame | None]]) -> pd.DataFrame:
        """h(r) at each temperature, all replicas together, each frame with the same weight."""
        tables = []
        for temperature in dict.fromkeys(self._temperatures):
            of_it = [
                (frames, histogram)
                for frames, histogram, own in zip(
                    *zip(*histograms, strict=True), self._temperatures, strict=True
                )
                if own == temperature and histogram is not None
            ]
            if not of_it:
                continue
            total = sum(frames for frames, _ in of_it)
            mean = sum(frames / total * histogram["h"].to_numpy() for frames, histogram in of_it)
            reference = np.nan if self._reference is None else self._reference["h"].to_numpy()
            r = of_it[0][1]["r"].to_numpy()
            tables.append(
                pd.DataFrame(
                    {"temperature_K": temperature, "r": r, "simulated": mean, "reference": reference}
                )
            )
        columns = ["temperature_K", "r", "simulated", "reference"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns, dtype=float)


def _by_temperature(replicas: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for temperature, group in replicas.groupby("temperature_K", sort=False):
        survived = int(group["unstable_at_ps"].isna().sum())
        low, high = survival_interval(survived, len(group))
        rows.append(
            {
                "temperature_K": temperature, "replicas": len(group), "survived": survived,
                "fraction_survived": survived / len(group), "fraction_low": low, "fraction_high": high,
                "stable_ps": group["stable_ps"].mean(), "stable_ps_error": _two_sigma(group["stable_ps"]),
                "largest_deviation_A": group["largest_deviation_A"].max(),
                "h_error": _mean(group["h_error"].dropna()), "h_error_error": _two_sigma(group["h_error"].dropna()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _mean(values: np.ndarray | pd.Series) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _two_sigma(values: pd.Series) -> float:
    """Twice the standard error of the mean; NaN for a single value."""
    return float(2.0 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
