"""The lowest minima of alanine dipeptide by the bundled model are those of GFN2-xTB, which labelled its data."""

import json

import pytest

import so3lab
from so3lab.minima import DuplicateRule, Search, check_minima, compare_with_reference, read_check
from so3lab.observables.backbone import backbone_torsions
from so3lab.structures import read_structure

pytestmark = pytest.mark.study
HIGHEST = 2.0
"""kcal/mol, of the minima that are looked for."""


def test_the_lowest_minima_are_those_of_the_method_behind_the_model(tmp_path, shared):
    pytest.importorskip("tblite", reason="needs the extra 'labels'")
    search = Search(so3lab.load("ala2"), read_structure("ala2"), rule=DuplicateRule(mirror_images="kept"))
    for _ in search.run(proposals=64):
        pass
    lowest = sorted(search.minima, key=lambda one: one.energy)[:3]
    for _ in check_minima(lowest, "gfn2", tmp_path / "gfn2.jsonl"):
        pass
    found = compare_with_reference(lowest, read_check(lowest, tmp_path / "gfn2.jsonl"), rule=search.rule)
    assert set(found.table["fate"]) == {"kept"}
    assert found.table["rmsd_A"].max() < 0.15
    assert found.table["turn_degrees"].max() < 10.0
    assert found.summary["mae_relaxed_kcal_mol"][0] < 0.3
    (residue,) = backbone_torsions(lowest[0].atoms)
    key = json.loads((shared / "reference" / "ala2_gfn2_minima.json").read_text())["minima"]
    for known, one in zip([row for row in key if row["dE_kcal"] < HIGHEST], lowest, strict=True):
        relaxed = found.structures[one.number]
        for name in ("phi", "psi"):
            assert abs((relaxed.get_dihedral(*getattr(residue, name)) - known[name] + 180) % 360 - 180) < 3.0
        row = found.table.set_index("number").loc[one.number]
        assert row["relaxed_kcal_mol"] == pytest.approx(known["dE_kcal"], abs=0.02)
