"""Frames in another unit than the rest of their set are found, wherever they stand; scans and mixtures are right."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from labelled_springs import as_dataset, springs

from so3lab import datasets
from so3lab.datasets.sanity_checks import check_units_and_geometry
from so3lab.units import bohr as BOHR
from so3lab.units import hartree as HARTREE
from so3lab.units import kcal_per_mol as KCAL_PER_MOL

FRAMES = 60
PARTS = {
    "the second half": np.arange(FRAMES) >= FRAMES // 2,
    "every third": np.arange(FRAMES) % 3 == 0,
    "the last fifth": np.arange(FRAMES) >= 0.8 * FRAMES,
}


def changed(dataset, which, *, positions=1.0, forces=1.0):
    """The set with positions and forces of some frames times a factor."""
    return replace(
        dataset,
        positions=tuple(r * (positions if one else 1.0) for r, one in zip(dataset.positions, which, strict=True)),
        forces=tuple(f * (forces if one else 1.0) for f, one in zip(dataset.forces, which, strict=True)),
    )


def ethanol(frames=FRAMES):
    return as_dataset(**springs(frames=frames, spread=0.03))


def said(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", datasets.LabelWarning)
        return " ".join(datasets.check_labels(replace(dataset), refuse=False))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("factor", "said"), [(1 / BOHR, r"1\.[89]\d"), (BOHR, r"0\.5\d")])
def test_frames_in_bohr_among_others_are_refused(part, factor, said):
    which = PARTS[part]
    words = rf"in {which.sum()} of {FRAMES} frames .* {said} times as far apart as in the others"
    with pytest.raises(ValueError, match=words):
        check_units_and_geometry(changed(ethanol(), which, positions=factor))


@pytest.mark.parametrize("factor", [1 / BOHR, BOHR])
def test_a_molecule_in_bohr_beside_others_is_refused(factor):
    one, other = ethanol(), as_dataset(**springs("C6H6", frames=20, spread=0.03))
    check_units_and_geometry(datasets.joined(one, other))
    with pytest.raises(ValueError, match="frames 60, 61, 62 and 17 more"):
        check_units_and_geometry(datasets.joined(one, changed(other, np.ones(20, bool), positions=factor)))


def test_molecules_that_are_torn_in_steps_are_no_bohr():
    rest = springs("CH4", frames=1, spread=0.0)
    scales = np.repeat(np.linspace(0.8, 2.2, 15), 3)
    frames = len(scales)
    scan = as_dataset(
        numbers=rest["numbers"],
        positions=rest["positions"] * scales[:, None, None],
        energies=rest["energies"] + (1.0 - np.exp(-2.0 * (scales - 1.0))) ** 2,
        forces=np.zeros((frames, 5, 3)) + 1e-3 * np.array([[-4.0], [1.0], [1.0], [1.0], [1.0]]),
    )
    check_units_and_geometry(scan)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (-1.0, "push them further apart"),
        (BOHR / HARTREE, "like forces in hartree/bohr"),
        (1 / KCAL_PER_MOL, "times as strong as bonds are"),
        (BOHR, "like forces in eV/bohr"),
        (1 / BOHR, "divided by 0.529 once too often"),
    ],
)
def test_forces_of_some_frames_in_another_unit_are_found(part, factor, sentence):
    assert said(ethanol()) == ""
    assert sentence in said(changed(ethanol(), PARTS[part], forces=factor))


def test_a_source_whose_forces_are_wrong_is_found_by_its_label():
    """Water, whose two bonds tell nothing frame by frame, by turns from two sources."""
    sources = np.array(["one", "other"] * 60)
    water = replace(as_dataset(**springs("H2O", frames=120)), labels={"source": sources})
    assert said(water) == ""
    assert "push them further apart" in said(changed(water, sources == "other", forces=-1.0))


def test_forces_that_are_all_too_large_by_a_bohr_are_refused_with_energies_and_else_warned_of():
    large = changed(ethanol(), np.ones(FRAMES, bool), forces=1 / BOHR)
    with pytest.raises(ValueError, match=r"multiply them by 0\.529"):
        datasets.check_labels(large)
    few = changed(ethanol(8), np.ones(8, bool), forces=1 / BOHR)
    with pytest.warns(datasets.LabelWarning, match=r"multiply them by 0\.529"):
        datasets.check_labels(few)


def test_relaxed_frames_beside_warm_ones_are_right():
    warm, relaxed = ethanol(), as_dataset(**springs(frames=30, spread=1e-3))
    assert said(datasets.joined(warm, replace(relaxed, energies=relaxed.energies))) == ""


@pytest.mark.study
@pytest.mark.parametrize("name", ["ethanol-hot", "ala2-hot"])
@pytest.mark.parametrize("which", ["every third", "the second half"])
def test_real_frames_in_other_units(name, which):
    dataset = datasets.load(name)
    frames = np.arange(len(dataset))
    chosen = frames % 3 == 0 if which == "every third" else frames >= len(frames) // 2
    assert said(dataset) == ""
    assert "like forces in hartree/bohr" in said(changed(dataset, chosen, forces=BOHR / HARTREE))
    with pytest.raises(ValueError, match="times as far apart as in the others"):
        check_units_and_geometry(changed(dataset, chosen, positions=1 / BOHR))
