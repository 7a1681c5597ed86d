"""A reference that is the model agrees in everything; another one is told from it, minimum by minimum."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from mmff import MMFF, relax_by_mmff

from so3lab import units
from so3lab.minima import (
    Minimum,
    ReferenceRelaxation,
    Search,
    check_minima,
    choose,
    compare_with_reference,
    read_check,
)
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles, molecular_graph


def same():
    """The method that found the minima."""
    return MMFF("CCCCO")


def stretched():
    """Pulls the ends of butane apart, which leaves it one minimum."""
    return MMFF("CCCC", (0, 3), 3.95, 1.0)


def stretched_butanol():
    """Pulls the ends of butanol's chain apart by a little."""
    return MMFF("CCCCO", (0, 3), 3.8, 0.5)


def fails():
    """Cannot compute anything."""
    raise_at_once = MMFF("CCCCO")
    raise_at_once.calculate = refuse
    return raise_at_once


def refuse(*arguments, **options):
    raise RuntimeError("no convergence")


def minima_of(smiles, proposals):
    search = Search(
        lennard_jones(), from_smiles(smiles), proposals=["torsions"], relax=relax_by_mmff(smiles), round_size=10
    )
    for _ in search.run(proposals=proposals):
        pass
    return search.minima


@pytest.fixture(scope="module")
def butanol():
    """Minima of butanol."""
    found = minima_of("CCCCO", 40)
    assert len(found) >= 6
    return found


@pytest.fixture(scope="module")
def butane():
    """Anti and gauche."""
    return sorted(minima_of("CCCC", 40), key=lambda one: one.energy)


def check(minima, calculator, journal, *, beyond=None, lowest=10, **options):
    reports = list(check_minima(minima, calculator, journal, **options))
    return reports, compare_with_reference(minima, read_check(minima, journal), beyond=beyond, lowest=lowest)


def test_a_reference_that_is_the_model_agrees_in_everything(butanol, tmp_path):
    reports, found = check(butanol, same, tmp_path / "a.jsonl", lowest=2, beyond=[0, 1, 2])
    assert [report.done for report in reports] == list(range(len(butanol) + 1))
    assert set(found.table["fate"]) == {"kept"}
    assert found.table["rmsd_A"].max() < 0.02
    assert found.table["turn_degrees"].max() < 2.0
    whole = found.summary.set_index("group").loc["all"]
    assert whole["mae_there_kcal_mol"] < 1e-6
    assert whole["rmse_relaxed_kcal_mol"] < 0.01
    assert whole["rank_there"] == pytest.approx(1.0)
    counts = found.summary.set_index("group")["minima"]
    assert counts["all"] == counts["lowest"] + counts["other"] == len(butanol)
    assert (counts["lowest"], counts["beyond the training data"]) == (2, 3)
    assert found.table["model_kcal_mol"].iloc[0] == found.table["relaxed_kcal_mol"].iloc[0] == 0.0
    for number, atoms in found.structures.items():
        assert atoms.get_potential_energy() == pytest.approx(butanol[number].energy, abs=1e-3)


def test_minima_that_fall_into_one_are_told(butane, tmp_path):
    _, found = check(butane, stretched, tmp_path / "a.jsonl")
    fates = found.table.set_index("number")["fate"]
    anti, gauche = butane[0].number, butane[1].number
    assert (fates[anti], fates[gauche]) == ("kept", "merged")
    assert f"the minimum of {anti}" in found.table["why"].iloc[1]
    _, alone = check(butane[1:], stretched, tmp_path / "a.jsonl")
    assert alone.table["fate"].tolist() == ["lost"]
    assert "turns from" in alone.table["why"].iloc[0]


def test_what_has_been_computed_is_not_computed_again(butanol, tmp_path):
    journal = tmp_path / "a.jsonl"
    first, _ = check(butanol[:2], same, journal, relaxation=None)
    assert first[-1].done == 2
    _, points = check(butanol[:2], same, journal, relaxation=None)
    assert set(points.table["fate"]) == {"not relaxed"}
    assert len(journal.read_text().splitlines()) == 2
    check(butanol[:3], same, journal)  # two that are relaxed now, and a new one
    assert len(journal.read_text().splitlines()) == 5
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])  # a line torn by a kill
    reports, _ = check(butanol[:3], same, journal)
    assert [report.done for report in reports] == [2, 3]
    assert journal.read_bytes() == whole
    check(butanol[:3], same, journal, relaxation=ReferenceRelaxation(max_force=0.001))
    assert len(journal.read_text().splitlines()) == 8
    with pytest.raises(ValueError, match="results of 'same', not of 'stretched'"):
        check(butanol[:3], stretched, journal)


@pytest.mark.process
def test_several_processes_agree_with_one(butanol, tmp_path):
    _, one = check(butanol, same, tmp_path / "one.jsonl")
    _, two = check(butanol, same, tmp_path / "two.jsonl", processes=2)
    assert one.table.equals(two.table)


def test_failures_are_told_and_tried_again_when_asked(butanol, tmp_path):
    journal = tmp_path / "a.jsonl"
    reports, found = check(butanol[:2], fails, journal)
    assert [report.failure for report in reports[1:]] == ["RuntimeError: no convergence"] * 2
    assert set(found.table["fate"]) == {"failed"}
    assert np.isnan(found.summary["mae_there_kcal_mol"][0])
    assert len(check(butanol[:2], fails, journal)[0]) == 1
    assert len(check(butanol[:2], fails, journal, retry_failed=True)[0]) == 3


def record_of(one, energy_shift=0.0, positions=None, converged=True):
    """What a reference would say."""
    return {
        "energy_there": one.energy + energy_shift, "energy": one.energy + energy_shift, "force_there": 0.0,
        "positions": (one.atoms.positions if positions is None else positions).tolist(), "converged": converged,
        "evaluations": 9,
    }  # fmt: skip


def test_errors_are_those_of_relative_energies_with_a_common_zero(butanol):
    four = sorted(butanol, key=lambda one: one.energy)[:4]
    shifts = np.array([5.0, 5.0, 5.0, 5.4]) * units.kcal_per_mol
    records = {one.number: record_of(one, shift) for one, shift in zip(four, shifts, strict=True)}
    found = compare_with_reference(four, records, lowest=3, beyond=[four[3].number])
    rows = found.summary.set_index("group")
    assert rows.loc["all", "mae_there_kcal_mol"] == pytest.approx(0.15)
    assert rows.loc["all", "rmse_relaxed_kcal_mol"] == pytest.approx(np.sqrt(0.03))
    assert rows.loc["lowest", "mae_there_kcal_mol"] == pytest.approx(0.1)
    assert rows.loc["other", "mae_there_kcal_mol"] == pytest.approx(0.3)
    assert rows.loc["beyond the training data", "mae_relaxed_kcal_mol"] == pytest.approx(0.3)
    last = found.table.iloc[3]
    assert last["relaxed_kcal_mol"] - last["model_kcal_mol"] == pytest.approx(0.4)


def test_one_minimum_alone_has_no_error(butanol):
    """Energies are relative ones: of one minimum there is nothing to compare."""
    found = compare_with_reference(butanol[:1], {butanol[0].number: record_of(butanol[0], 5.0)})
    row = found.summary.iloc[0]
    assert row["kept"] == 1
    for name in ("mae_there", "rmse_there", "mae_relaxed", "rmse_relaxed"):
        assert np.isnan(row[f"{name}_kcal_mol"])


def test_what_reacts_is_no_zero_of_energies(butanol):
    """The lowest falls apart, and gains much by it; all others are told beside the next one that stays."""
    three = sorted(butanol, key=lambda one: one.energy)[:3]
    far = three[0].atoms.positions.copy()
    far[-1] += 30.0
    records = {one.number: record_of(one) for one in three}
    records[three[0].number] = record_of(three[0], positions=far) | {"energy": three[0].energy - 9.0}
    found = compare_with_reference(three, records)
    table = found.table.set_index("number")
    assert table["fate"][three[0].number] == "changed"
    assert table["relaxed_kcal_mol"][three[1].number] == table["model_kcal_mol"][three[1].number] == 0.0
    step = (three[2].energy - three[1].energy) / units.kcal_per_mol
    assert table["relaxed_kcal_mol"][three[2].number] == pytest.approx(step)
    assert table["model_kcal_mol"][three[0].number] < 0.0


def test_a_question_is_answered_by_what_was_asked_before_only_if_it_was_no_easier(butanol, tmp_path):
    journal, few = tmp_path / "a.jsonl", ReferenceRelaxation(max_force=1e-3, max_steps=2)
    assert "not converged" in set(check(butanol[:2], stretched_butanol, journal, relaxation=few)[1].table["fate"])
    lines = len(journal.read_text().splitlines())
    check(butanol[:2], stretched_butanol, journal, relaxation=ReferenceRelaxation(max_force=1e-4, max_steps=2))
    assert len(journal.read_text().splitlines()) == lines  # what failed at less fails at more
    _, found = check(
        butanol[:2], stretched_butanol, journal, relaxation=ReferenceRelaxation(max_force=0.5, max_steps=2)
    )
    assert len(journal.read_text().splitlines()) > lines  # a looser limit may be met
    assert not set(found.table["fate"]) & {"failed"}


def test_energy_that_is_still_to_be_gained_is_no_convergence(butanol, tmp_path, monkeypatch):
    monkeypatch.setattr("so3lab.minima.reference_check.TIGHTER", 0)
    narrow = ReferenceRelaxation(max_force=0.01, max_gain_meV=1e-9)
    _, found = check(butanol[:2], stretched_butanol, tmp_path / "a.jsonl", relaxation=narrow)
    assert set(found.table["fate"]) == {"not converged"}


def test_what_becomes_of_minima_is_named(butanol):
    one, two, three, four = butanol[:4]
    graph = molecular_graph(one.atoms)
    dihedral = rotatable_dihedrals(one.atoms)[0]
    far = one.atoms.positions.copy()
    far[-1] += 30.0
    records = {
        one.number: record_of(one, positions=turned(one.atoms.positions, graph, dihedral, 60.0)),
        two.number: record_of(two, positions=far),
        three.number: record_of(three, converged=False),
        four.number: record_of(four, positions=turned(four.atoms.positions, graph, dihedral, 20.0)),
    }
    found = compare_with_reference([one, two, three, four], records)
    rows = found.table.set_index("number")
    expected = {one.number: "lost", two.number: "changed", three.number: "not converged", four.number: "kept"}
    assert rows["fate"].to_dict() == expected
    assert "broken" in rows["why"][two.number]
    assert rows["turn_degrees"][four.number] == pytest.approx(20.0)
    whole = found.summary.iloc[0]
    assert (whole["lost"], whole["changed"], whole["kept"], whole["minima"]) == (1, 1, 1, 4)
    with pytest.raises(ValueError, match="none of them"):
        compare_with_reference([replace(one, number=99)], records)


def test_the_lowest_and_some_others_are_chosen(butanol):
    chosen = choose(butanol, lowest=2, at_random=3, seed=1)
    energies = sorted(one.energy for one in butanol)
    assert [one.energy for one in chosen[:2]] == energies[:2]
    assert len({one.number for one in chosen}) == 5
    assert [one.number for one in choose(butanol, lowest=2, at_random=3, seed=1)] == [one.number for one in chosen]
    assert len({tuple(one.number for one in choose(butanol, lowest=1, at_random=2, seed=k)) for k in range(9)}) > 1
    assert len(choose(butanol, lowest=1000, at_random=1000)) == len(butanol)
    highest = max(butanol, key=lambda one: one.energy).number
    assert [one.number for one in choose(butanol, lowest=0, at_random=0, also=[highest])] == [highest]
    for wrong in ({"lowest": -1}, {"at_random": -1}, {"also": [999]}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            choose(butanol, **wrong)


def test_calculators_are_known_by_name(butanol, tmp_path):
    with pytest.raises(ValueError, match=r"one of.*'magic'"):
        check(butanol, "magic", tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match=r"no calculator ase\.calculators\.emt:Nothing"):
        check(butanol, "ase.calculators.emt:Nothing", tmp_path / "a.jsonl")
    argon = Minimum(0, Atoms("Ar2", [[0, 0, 0], [0, 0, 1.15]]), -1.0, "start", None)
    _, found = check([argon], "lj", tmp_path / "b.jsonl")
    assert found.structures[0].get_distance(0, 1) == pytest.approx(2 ** (1 / 6), abs=1e-3)
    assert json.loads((tmp_path / "b.jsonl").read_text())["calculator"] == "lj"
