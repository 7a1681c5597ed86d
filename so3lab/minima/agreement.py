"""Do a model's minima agree with a reference method, in energy and in geometry?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import ase
import numpy as np
import pandas as pd
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float
from scipy.stats import spearmanr

from so3lab import units
from so3lab.labels.journal import Record
from so3lab.minima.accounts import Minimum
from so3lab.minima.comparing import compare
from so3lab.minima.identity import DuplicateRule, distinct
from so3lab.minima.judging import Compound

Fate = Literal["kept", "merged", "lost", "changed", "not converged", "failed", "not relaxed"]
FATES: tuple[Fate, ...] = ("kept", "merged", "lost", "changed", "not converged", "failed", "not relaxed")
"""What becomes of a minimum when the reference relaxes it: it stays itself; falls into the minimum of another one;
becomes another conformer; makes or breaks a bond or is inverted; does not end; cannot be computed; or nobody asked."""
LOST_DEGREES = 40.0
"""Turn of a torsion beyond which a relaxed structure counts as another conformer; staggered ones are 120° apart."""
LOST_RMSD = 0.5
"""Å beyond which it does, where no torsion says so: rings and clusters."""
TOLD = (
    "model_kcal_mol", "there_kcal_mol", "relaxed_kcal_mol", "force_eV_per_A", "gain_kcal_mol", "rmsd_A",
    "turn_degrees", "fate", "why",
)  # fmt: skip
LEAST_TO_RANK = 3
"""Minima below which there is no order to be compared."""
LEAST_FOR_ERRORS = 2
"""Minima below which there is no relative energy."""
STAYED: tuple[Fate, ...] = ("kept", "merged", "not relaxed")
"""Of those that may be the zero of relative energies: no other has a relaxed energy that is of the same conformer."""


@dataclass(frozen=True)
class Agreement:
    """A model beside a reference method."""

    table: pd.DataFrame
    """One row per minimum: ``number``; ``chosen`` (``lowest`` or ``other``), and ``beyond_training`` where it is known;
    energies in kcal/mol above the lowest minimum that the reference leaves what it is, by the model
    (``model_kcal_mol``), by the reference at the model's minima (``there_kcal_mol``) and relaxed
    (``relaxed_kcal_mol``); the reference's largest force there (``force_eV_per_A``); what relaxing gains
    (``gain_kcal_mol``), how far it goes (``rmsd_A``, ``turn_degrees``, the largest turn of a torsion); ``fate``, one of
    :data:`FATES`, and ``why``."""
    summary: pd.DataFrame
    """One row per group (all, lowest, other, and beyond or within the training data): how many; errors of relative
    energies ``mae_there_kcal_mol``, ``rmse_there_kcal_mol``, ``mae_relaxed_kcal_mol``, ``rmse_relaxed_kcal_mol``, the
    mean error of all minima being the common zero; rank correlations (Spearman) ``rank_there`` and ``rank_relaxed``;
    ``mean_rmsd_A``, ``largest_turn_degrees`` of those kept; and how many had which fate."""
    structures: dict[int, ase.Atoms]
    """Relaxed by the reference, with its energy, by number."""


def compare_with_reference(
    minima: Sequence[Minimum],
    records: Mapping[int, Record],
    *,
    lowest: int = 10,
    beyond: Collection[int] | None = None,
    rule: DuplicateRule | None = None,
) -> Agreement:
    """Compare a model's minima with what a reference says of them.

    Energies of relaxed structures are compared where minima are kept: of two that fall into one there is one energy.

    Args:
        minima: All that were checked.
        records: As :func:`so3lab.minima.read_check` gives them.
        lowest: How many of the lowest were chosen as such.
        beyond: Numbers of the minima beyond the training data; None when nobody knows.
        rule: When two relaxed structures are the same; default: that of searches. Mirror images count as two where the
            model's minima were two.

    Raises:
        ValueError: If the reference says nothing of any of the minima.
    """
    rule = rule or DuplicateRule()
    if any(one.mirror_image_of is not None for one in minima):
        rule = replace(rule, mirror_images="kept")
    checked = sorted((one for one in minima if one.number in records), key=lambda one: one.energy)
    if not checked:
        raise ValueError("records must be of these minima, and are of none of them; run check_minima first")
    structures = {
        one.number: _relaxed(one, records[one.number]) for one in checked if "positions" in records[one.number]
    }
    rows = [_row(one, records[one.number], structures.get(one.number), rule) for one in checked]
    _merge(rows, structures, rule)
    table = pd.DataFrame(rows)
    table["chosen"] = np.where(np.arange(len(table)) < lowest, "lowest", "other")
    if beyond is not None:
        table["beyond_training"] = table["number"].isin(list(beyond))
    _relative(table)
    told = ["number", "chosen", *(["beyond_training"] if beyond is not None else []), *TOLD]
    return Agreement(table[told], _summary(table), structures)


def _relaxed(one: Minimum, record: Record) -> ase.Atoms:
    atoms = one.atoms.copy()
    atoms.set_positions(np.array(record["positions"]))
    atoms.calc = SinglePointCalculator(atoms, energy=record["energy"])
    return atoms


def _row(one: Minimum, record: Record, relaxed: ase.Atoms | None, rule: DuplicateRule) -> dict[str, Any]:
    """What can be said of a minimum by itself; energies in eV."""
    row: dict[str, Any] = {
        "number": one.number, "model": one.energy, "there": record.get("energy_there", np.nan),
        "relaxed": record.get("energy", np.nan), "force_eV_per_A": record.get("force_there", np.nan),
        "gain_kcal_mol": (record.get("energy_there", np.nan) - record.get("energy", np.nan)) / units.kcal_per_mol,
        "rmsd_A": np.nan, "turn_degrees": np.nan,
    }  # fmt: skip
    if "failed" in record:
        return row | {"fate": "failed", "why": record["failed"]}
    if relaxed is None:
        return row | {"fate": "not relaxed", "why": ""}
    compound = Compound(one.atoms, rule.mirror_images == "merged")
    if change := compound.reaction(relaxed) or compound.inversion(relaxed):
        return row | {"fate": "changed", "why": change}
    after = replace(one, atoms=relaxed, energy=record["energy"])
    found = compare(one, after, replace(rule, mirror_images="kept"))
    turns = found.torsions["difference_deg"].abs()
    row |= {"rmsd_A": found.rmsd, "turn_degrees": turns.max() if len(turns) else np.nan}
    if not record["converged"]:
        return row | {"fate": "not converged", "why": f"after {record['evaluations']} evaluations"}
    if len(turns) and turns.max() > LOST_DEGREES:
        which = found.torsions.iloc[int(turns.to_numpy().argmax())]
        why = f"{which['atoms']} turns from {which['first_deg']:.0f}° to {which['second_deg']:.0f}°"
        return row | {"fate": "lost", "why": why}
    if found.rmsd > LOST_RMSD:
        return row | {"fate": "lost", "why": f"it moves by {found.rmsd:.2f} Å"}
    return row | {"fate": "kept", "why": ""}


def _merge(rows: list[dict[str, Any]], structures: Mapping[int, ase.Atoms], rule: DuplicateRule) -> None:
    """Say of those that relax to the same structure that they do; who moved least keeps it."""
    ended = [row for row in rows if row["fate"] in ("kept", "lost")]
    relaxed = [structures[row["number"]] for row in ended]
    stands_for = distinct(relaxed, [row["relaxed"] for row in ended], rule)
    for group in np.unique(stands_for):
        alike = [ended[place] for place in np.flatnonzero(stands_for == group)]
        owner = min(alike, key=lambda row: (row["fate"] == "lost", row["rmsd_A"]))
        for row in alike:
            if row is not owner:
                also = f"; {row['why']}" if row["why"] else ""
                row |= {"fate": "merged", "why": f"falls into the minimum of {owner['number']}{also}"}


def _relative(table: pd.DataFrame) -> None:
    """Energies above that of the model's lowest minimum which the reference leaves what it is, in kcal/mol; where it
    leaves none, of which it knows the energy."""
    answered = np.isfinite(table["there"].to_numpy(float))
    stayed = answered & table["fate"].isin(STAYED).to_numpy()
    lowest = int(np.argmax(stayed if stayed.any() else answered))
    for name in ("model", "there", "relaxed"):
        values = table[name].to_numpy(float)
        table[f"{name}_kcal_mol"] = (values - values[lowest]) / units.kcal_per_mol


def _summary(table: pd.DataFrame) -> pd.DataFrame:
    errors = {name: _errors(table, name) for name in ("there", "relaxed")}
    every = np.ones(len(table), bool)
    groups = {"all": every, **{name: (table["chosen"] == name).to_numpy() for name in ("lowest", "other")}}
    if "beyond_training" in table:
        beyond = table["beyond_training"].to_numpy(bool)
        groups |= {"beyond the training data": beyond, "within the training data": ~beyond}
    rows = []
    for name, group in groups.items():
        part = table[group]
        row: dict[str, Any] = {"group": name, "minima": len(part)}
        for kind, error in errors.items():
            known = error[group][np.isfinite(error[group])]
            row[f"mae_{kind}_kcal_mol"] = np.abs(known).mean() if len(known) else np.nan
            row[f"rmse_{kind}_kcal_mol"] = np.sqrt((known**2).mean()) if len(known) else np.nan
            row[f"rank_{kind}"] = _rank(part[np.isfinite(error[group])], kind)
        kept = part[part["fate"] == "kept"]
        row |= {"mean_rmsd_A": kept["rmsd_A"].mean(), "largest_turn_degrees": kept["turn_degrees"].max()}
        rows.append(row | {fate: int((part["fate"] == fate).sum()) for fate in FATES})
    return pd.DataFrame(rows)


def _errors(table: pd.DataFrame, kind: str) -> Float[np.ndarray, " minima"]:
    """Model minus reference in kcal/mol, their mean being zero; NaN where there is nothing to compare, as of a single
    minimum."""
    error = (table["model"] - table[kind]).to_numpy(float) / units.kcal_per_mol
    if kind == "relaxed":
        error[(table["fate"] != "kept").to_numpy()] = np.nan
    finite = np.isfinite(error)
    return error - error[finite].mean() if finite.sum() >= LEAST_FOR_ERRORS else np.full(len(error), np.nan)


def _rank(part: pd.DataFrame, kind: str) -> float:
    """Spearman's coefficient; NaN for too few, or where all are equal."""
    model, reference = part["model"].to_numpy(float), part[kind].to_numpy(float)
    if len(part) < LEAST_TO_RANK or np.ptp(model) == 0 or np.ptp(reference) == 0:
        return float("nan")
    return float(spearmanr(model, reference).statistic)
