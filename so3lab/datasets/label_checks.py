"""Can the labels of a data set be right: one check for all doors, loading, training and evaluation?"""

import warnings

from so3lab.datasets.consistency.energy_levels import check_energy_levels
from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.consistency.force_balance import check_force_balance
from so3lab.datasets.consistency.repeated_frames import check_repeated_frames
from so3lab.datasets.consistency.signs_and_units import check_signs_and_units
from so3lab.datasets.consistency.stress_against_energy import check_stress_against_energy
from so3lab.datasets.dataset import Dataset
from so3lab.structures.electrons import sounds_like_electrons


def _check_unused_labels(dataset: Dataset) -> list[Finding]:
    """Say which labels of cells have no part in training, and which names sound like a charge or a spin."""
    findings = [Finding(f"left out: {dataset.meta['left_out']}")] if "left_out" in dataset.meta else []
    if "notes" in dataset.meta:  # of the reader
        findings.append(Finding(dataset.meta["notes"]))
    unknown = [name for name in dataset.labels if sounds_like_electrons(name)]
    if unknown:
        named = ", ".join(map(repr, unknown))
        findings.append(
            Finding(
                f"{named} is left out, since so3lab does not know the name; if it is the total charge or the spin, "
                "call it charge or multiplicity"
            )
        )
    return findings


_CHECKS = (
    check_energy_levels,
    check_signs_and_units,
    check_stress_against_energy,
    check_force_balance,
    check_repeated_frames,
    _check_unused_labels,
)


class LabelWarning(UserWarning):
    """Labels that are probably not what somebody thinks they are."""


def check_labels(dataset: Dataset, *, refuse: bool = True) -> tuple[str, ...]:
    """Refuse labels that contradict each other, and warn of doubtful ones; a set, and parts of it, are asked once.

    Forces must pull stretched bonds back, as strongly as bonds are
    (:mod:`so3lab.datasets.consistency.bond_stretches`); energies must change between frames as forces say
    (:mod:`so3lab.datasets.consistency.energy_against_forces`), between near cells as stresses say
    (:mod:`so3lab.datasets.consistency.stress_against_energy`), vary, and count from one zero; forces of isolated
    molecules must balance; copies must have the same labels. What too few frames tell nothing of is kept as ``untold``.

    Args:
        dataset: The set; its ``remarks`` and ``untold`` keep what was found.
        refuse: Whether to refuse. If not, everything is a warning: for who knows better.

    Returns:
        The sentences of all warnings, which are given as `LabelWarning` too.

    Raises:
        ValueError: If the labels cannot be right; the sentence names frames, values and the likely reason.
    """
    if dataset.remarks is not None:
        return dataset.remarks
    findings = [finding for check in _CHECKS for finding in check(dataset)]
    refused = [finding.sentence for finding in findings if finding.refused]
    if refused and refuse:
        raise ValueError(
            f"labels of {dataset.name!r} contradict each other: {'; '.join(refused)}. "
            f"If they are meant so, check=False leaves this check out"
        )
    remarks = tuple(finding.sentence for finding in findings if not finding.open)
    for remark in remarks:
        warnings.warn(f"{dataset.name}: {remark}", LabelWarning, stacklevel=2)
    dataset.keep_remarks(remarks, tuple(finding.sentence for finding in findings if finding.open))
    return remarks
