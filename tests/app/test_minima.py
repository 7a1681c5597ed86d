"""The commands about minima, on the smallest Lennard-Jones clusters, whose minima are known."""

import json
from pathlib import Path

import ase.db
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from molecule_search import search

from so3lab.app import main
from so3lab.minima import MinimaDatabase, Search, gather
from so3lab.pretrained import lennard_jones, random_cluster


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """Two searches of LJ6, which has two minima, by two seeds."""
    folder = tmp_path_factory.mktemp("minima")
    files = [folder / f"{seed}.db" for seed in (0, 1)]
    for seed, file in enumerate(files):
        assert main(["minima", "search", "lj", "lj:6", "--out", str(file), "--minima", "2", "--seed", str(seed)]) == 0
    return files


def output(capsys, *arguments):
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_minima_are_the_known_ones(databases, capsys):
    found = output(capsys, "minima", "list", databases[0])
    energies = [one["energy_eV"] for one in found["minima"]]
    assert energies == pytest.approx([-12.712062, -12.302928], abs=1e-5)
    assert all(one["visits"] >= 1 for one in found["minima"])
    assert {one["origin"] for one in found["minima"]} <= {"start", "cluster moves"}
    assert main(["minima", "list", str(databases[0])]) == 0
    assert "-12.712062" in capsys.readouterr().out


def test_merged_searches_agree_on_their_minima(databases, capsys, tmp_path):
    merged = tmp_path / "merged.db"
    told = output(capsys, "minima", "merge", *databases, "--out", merged)
    assert told["stored"] == 4
    again = output(capsys, "minima", "merge", databases[0], "--out", merged)
    assert again["stored"] == 4
    visits = [sum(one["visits"] for one in output(capsys, "minima", "list", file)["minima"]) for file in databases]
    together = output(capsys, "minima", "list", merged)
    assert together["found"] == 2
    assert sum(one["visits"] for one in together["minima"]) == sum(visits)
    assert output(capsys, "minima", "list", merged, "--max-difference-meV", "1000")["found"] == 2  # far apart in RMSD
    assert output(capsys, "minima", "list", merged, "--window-kcal-mol", "0.1")["minima"][0]["number"] == 0


def test_ase_opens_the_database_and_exports_are_structures(databases, capsys, tmp_path):
    rows = list(ase.db.connect(str(databases[0])).select(kind="minimum"))
    assert len(rows) == 2
    assert {row.natoms for row in rows} == {6}
    out = tmp_path / "minima.xyz"
    assert output(capsys, "minima", "export", databases[0], out)["minima"] == 2
    frames = read(out, ":")
    assert frames[0].get_potential_energy() == pytest.approx(-12.712062, abs=1e-5)
    assert main(["minima", "export", str(databases[0]), str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_what_cannot_be_is_refused_with_a_sentence(databases, capsys, tmp_path):
    new, crystal, given = (str(tmp_path / name) for name in ("new.db", "crystal.xyz", "given.xyz"))
    bulk("NaCl", "rocksalt", a=5.64, cubic=True).write(crystal, format="extxyz")
    bulk("Ar", "fcc", a=5.3, cubic=True).repeat((3, 1, 1)).write(given, format="extxyz")
    for arguments, said in (
        (["search", "lj", "ethanol", "--out", new], "lj:13"),
        (["search", "lj", "lj:many", "--out", new], "how many atoms"),
        (["search", "lj", "lj:0", "--out", new], "1 to 2000"),
        (["search", "lj", "lj:6", "--out", str(tmp_path / "new.txt")], ".db"),
        (["search", "lj", "lj:6", "--out", str(databases[0]), "--minima", "2"], "resume"),
        (["search", "lj", "lj:6", "--out", new, "--saturation", "2"], "saturation"),
        (["search", "lj", "lj:6", "--out", new, "--max-rmsd", "0"], "max_rmsd"),
        (["search", "lj", "lj:6", "--out", str(tmp_path / "nowhere" / "m.db")], "make it with: mkdir -p"),
        (["search", "lj", "lj:6", "--out", new, "--minutes", "0"], "--minutes must be positive"),
        (["search", "lj", "lj:6", "--out", new, "--minima", "-1"], "--minima must be positive"),
        (["search", "lj", "lj:6", "--out", new, "--fmax", "0"], "--fmax must be positive"),
        (["search", "lj", "lj:6", "--out", new, "--given", "none.xyz"], "--given: there is no file none.xyz"),
        (["search", "lj", "lj:6", "--out", new, "--given", given], "frame 0 has a cell"),
        (["search", "so3lr", crystal, "--out", new], "atoms must not be periodic"),
        (["search", "lj", "lj:6", "--out", "nothing://new"], "postgresql://"),
        (["list", str(tmp_path / "none.db")], "no database"),
        (["export", str(databases[0]), str(tmp_path / "minima.blah")], "ends in .extxyz"),
    ):
        assert main(["minima", *arguments]) == 1
        assert said in capsys.readouterr().err
    assert not Path(new).exists()


def test_a_search_for_more_minima_than_there_are_ends_and_says_so(capsys, tmp_path):
    file = str(tmp_path / "one.db")
    Search(lennard_jones(), random_cluster(1), max_force=1e-4, out=file)  # ended before its first round: no obstacle
    assert main(["minima", "search", "lj", "lj:1", "--out", file, "--minima", "5"]) == 0
    assert "ended below 5 minima" in capsys.readouterr().out
    assert output(capsys, "minima", "list", file)["found"] == 1


def test_a_finished_search_that_is_resumed_finds_nothing_to_do(databases, capsys):
    arguments = ["minima", "search", "lj", "lj:6", "--out", databases[0], "--minima", "2", "--resume"]
    before = output(capsys, "minima", "list", databases[0])
    assert output(capsys, *arguments)["minima"] == 2
    assert output(capsys, "minima", "list", databases[0]) == before


def test_minima_are_checked_with_a_reference(databases, capsys, tmp_path):
    """ASE's Lennard-Jones clusters are ours, but for a constant for each pair."""
    journal, table, structures = (tmp_path / name for name in ("a.jsonl", "a.csv", "a.xyz"))
    arguments = ["minima", "check", databases[0], "--calculator", "lj", "--processes", "1", "--journal", journal]
    points = output(capsys, *arguments, "--single-points")
    assert points["summary"][0]["mae_there_kcal_mol"] < 1e-3
    told = output(capsys, *arguments, "--out", table, "--structures", structures)
    assert [one["fate"] for one in told["minima"]] == ["kept", "kept"]
    assert told["summary"][0]["mae_relaxed_kcal_mol"] < 1e-2
    assert told["minima"][1]["relaxed_kcal_mol"] == pytest.approx(told["minima"][1]["model_kcal_mol"], abs=1e-2)
    assert len(read(structures, ":")) == len(table.read_text().splitlines()) - 1 == 2
    lines = journal.read_text()
    assert output(capsys, *arguments)["minima"] == told["minima"]
    assert journal.read_text() == lines
    assert main([*map(str, arguments)]) == 0
    assert "kept" in capsys.readouterr().out
    for extra, said in (
        (["--out", str(table)], "--overwrite"),
        (["--out", str(tmp_path / "a.txt")], ".csv"),
        (["--single-points", "--structures", str(structures)], "leave out"),
        (["--calculator", "magic"], "one of"),
        (["--lowest", "-1"], "lowest"),
    ):
        assert main([*map(str, arguments), *extra]) == 1
        assert said in capsys.readouterr().err


def test_minima_beyond_the_training_data_are_told_apart(capsys, tmp_path):
    """A model that has seen the lowest conformers only."""
    minima = search("CCCO", str(tmp_path / "a.db"))
    for _ in minima.run(proposals=40):
        pass
    found = gather(MinimaDatabase(tmp_path / "a.db"))
    known = [one.atoms.copy() for one in found[:3] for _ in range(4)]
    for number, atoms in enumerate(known):
        atoms.rattle(0.01, seed=number)
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((len(atoms), 3)))
    write(tmp_path / "seen.xyz", known)
    told = output(
        capsys, "minima", "check", tmp_path / "a.db", "--calculator", "mmff:propanol", "--processes", "1", "--lowest",
        "3", "--random", "0", "--training", tmp_path / "seen.xyz", "--beyond", "2", "--single-points",
    )  # fmt: skip
    assert [one["beyond_training"] for one in told["minima"]] == [False] * 3 + [True] * 2
    groups = {row["group"]: row["minima"] for row in told["summary"]}
    assert groups["beyond the training data"] == 2
    assert told["summary"][0]["mae_there_kcal_mol"] < 1e-4


def test_jobs_of_an_array_have_seeds_and_files_of_their_own(capsys, tmp_path):
    common = ["minima", "search", "lj", "lj:6", "--out", tmp_path / "all.db", "--minima", "1", "--seed", "5"]
    told = [output(capsys, *common, "--array", f"{index}/12") for index in (0, 10)]
    assert [Path(one["out"]).name for one in told] == ["all-00.db", "all-10.db"]
    assert told[0]["search"] != told[1]["search"]
    same = output(capsys, "minima", "search", "lj", "lj:6", "--out", tmp_path / "b.db", "--minima", "1", "--seed", "15")
    assert same["search"] == told[1]["search"]
    assert same["lowest_energy_eV"] == told[1]["lowest_energy_eV"]
    assert output(capsys, *common, "--array", "10/12", "--resume")["proposals"] == told[1]["proposals"]
    for wrong in ("12/12", "3", "a/b", "-1/4"):
        assert main([*map(str, common), f"--array={wrong}"]) == 1
        assert "from 0 to COUNT-1" in capsys.readouterr().err
    url = ["minima", "search", "lj", "lj:6", "--out", "postgresql://me:secret@nowhere/x", "--array", "0/2"]
    assert main(url) == 1
    said = capsys.readouterr().err
    assert "--seed" in said
    assert "secret" not in said


@pytest.mark.process
def test_processes_find_what_one_finds(databases, capsys, tmp_path):
    shared = tmp_path / "shared.db"
    told = output(
        capsys, "minima", "search", "lj", "lj:6", "--out", shared, "--minima", "2", "--cluster", "local:2"
    )  # fmt: skip
    found, alone = (output(capsys, "minima", "list", file)["minima"] for file in (shared, databases[0]))
    assert told["minima"] == 2
    for one, other in zip(found, alone, strict=True):
        assert one["energy_eV"] == pytest.approx(other["energy_eV"], abs=1e-6)
        assert one["visits"] == other["visits"]


@pytest.mark.study
def test_four_atoms_have_one_minimum_and_one_saddle(capsys, tmp_path):
    """J. P. K. Doye and D. J. Wales, J. Chem. Phys. 116, 3777 (2002)."""
    file, merged = tmp_path / "lj4.db", tmp_path / "merged.db"
    output(capsys, "minima", "search", "lj", "lj:4", "--out", file, "--minima", "1")
    found = output(capsys, "minima", "landscape", file, "--saddles", "1")
    assert (found["minima"], found["transition_states"], found["connected"]) == (1, 1, True)
    assert found["lowest_energy_eV"] == pytest.approx(-6.0, abs=1e-6)
    assert found["standings"] == {"connected": 1, "apart": 0, "not tried": 0}
    assert found["minima_table"][0]["population"] == 1.0
    assert found["minima_table"][0]["standing"] == "connected"
    assert found["minima_table"][0]["symmetry_order"] == 24
    assert found["transition_states_table"][0]["energy_eV"] == pytest.approx(-5.073421, abs=1e-5)
    assert main(["minima", "landscape", str(file), "--saddles", "1"]) == 0
    assert "1 minimum, 1 transition state," in capsys.readouterr().out
    assert output(capsys, "minima", "list", file)["found"] == 1
    output(capsys, "minima", "merge", file, "--out", merged)
    assert output(capsys, "minima", "landscape", merged, "--saddles", "1")["searches"] == found["searches"]


def test_a_landscape_needs_minima_and_their_model(databases, capsys, tmp_path):
    assert main(["minima", "landscape", str(tmp_path / "none.db")]) == 1
    assert "there is no database" in capsys.readouterr().err
    assert main(["minima", "landscape", str(databases[0]), "--model", "ethanol"]) == 1
    assert "another model" in capsys.readouterr().err
    (tmp_path / "page.html").touch()
    for extra, said in (
        (["--fmax", "0"], "--fmax must be positive"),
        (["--temperature-K", "-1"], "--temperature-K must be positive"),
        (["--window-kcal-mol", "3"], "is for molecules"),
        (["--seed", "-5"], "seed must not be negative"),
        (["--minutes", "0"], "--minutes must be positive"),
        (["--saddles", "-2"], "--saddles must be positive"),
        (["--saturation", "2"], "saturation must lie between 0 and 1"),
        (["--training", "ethanol"], "--training: frames must hold two or more structures of Ar6"),
        (["--out", str(tmp_path / "page.txt")], "ends in .html"),
        (["--out", str(tmp_path / "page.html")], "--overwrite"),
        (["--out", str(tmp_path / "none" / "page.html")], "mkdir -p"),
    ):
        assert main(["minima", "landscape", str(databases[0]), *extra]) == 1
        assert said in capsys.readouterr().err
