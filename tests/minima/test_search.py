"""A search finds all minima of molecules whose minima are known, and accounts for every proposal."""

import dataclasses

import numpy as np
import pytest
from ase.build import bulk, molecule
from mmff import relax_by_mmff

from so3lab.minima import DuplicateRule, MinimaDatabase, Search, gather, unseen
from so3lab.minima.judging import Compound
from so3lab.minima.proposals import Given
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles

MODEL = lennard_jones()
"""Not asked where MMFF relaxes; its checksum is part of a search's name."""


def search(smiles, *, seed=0, proposals=("torsions",), relax=None, **options):
    relax = relax or relax_by_mmff(smiles)
    return Search(MODEL, from_smiles(smiles), proposals=proposals, seed=seed, relax=relax, **options)


def run(one, **budget):
    return list(one.run(**budget))


@pytest.mark.parametrize(
    ("smiles", "merged", "kept"), [("CCO", 2, 3), ("CCCC", 2, 3), ("CCCCC", 4, 7)], ids=["ethanol", "butane", "pentane"]
)
def test_all_minima_are_found_and_no_more(smiles, merged, kept):
    proposals = 20 * kept
    wide = search(smiles, rule=DuplicateRule(0.0065, 0.375), round_size=10)
    run(wide, proposals=proposals)
    assert len(wide.minima) == merged
    one = search(smiles, rule=DuplicateRule(mirror_images="kept"), round_size=10)
    run(one, proposals=proposals)
    assert len(one.minima) == kept
    energies = np.array([minimum.energy for minimum in one.minima])
    images = [n for n, minimum in enumerate(one.minima) if minimum.mirror_image_of is not None]
    assert len(images) == kept - merged
    for number in images:
        assert energies[number] == pytest.approx(energies[one.minima[number].mirror_image_of], abs=1e-6)


def test_every_proposal_is_accounted_for():
    one = search("CCCC", round_size=8)
    accounts = run(one, proposals=30)
    assert [account.proposal for account in accounts] == list(range(len(accounts)))
    assert one.ledger.proposals == len(accounts)
    assert sum(minimum.visits for minimum in one.minima) == one.ledger.total("new") + one.ledger.total("duplicate")
    for account in accounts:
        if account.outcome == "duplicate":
            known = one.minima[account.minimum]
            assert account.energy - known.energy == pytest.approx(account.energy_difference)
            assert account.rmsd <= one.rule.max_rmsd
            assert f"minimum {account.minimum} " in account.sentence
        else:
            assert account.outcome == "new"
            assert one.minima[account.minimum].atoms is account.atoms


def test_the_same_seed_gives_the_same_set_and_another_one_agrees():
    def energies(seed):
        one = search("CCCO", seed=seed, round_size=16)
        run(one, proposals=96)
        return [minimum.energy for minimum in one.minima]

    first, again, other = energies(0), energies(0), energies(1)
    assert first == again
    np.testing.assert_allclose(sorted(first), sorted(other), atol=1e-4)


def test_what_is_no_minimum_of_the_compound_is_told_and_not_kept():
    smiles = "C[C@H](F)C(=O)NC"
    relax = relax_by_mmff(smiles)
    start = from_smiles(smiles)
    reacted, inverted, unfinished = start.copy(), start.copy(), start.copy()
    reacted.positions[-1] += 20.0
    inverted.positions[:, 0] *= -1
    inverted.info["as it is"] = reacted.info["as it is"] = True
    unfinished.info["give up"] = True

    def partly(structures):
        for number, atoms in enumerate(structures):
            (found,) = relax([atoms])
            if "as it is" in atoms.info:
                found = dataclasses.replace(found, atoms=atoms, why="converged")
            if "give up" in atoms.info:
                found = dataclasses.replace(found, why="out of steps")
            yield dataclasses.replace(found, number=number)

    class AsGiven(Given):
        def propose(self, minima, count, rng):
            found = super().propose(minima, count, rng)
            for one, original in zip(found, (reacted, inverted, unfinished, from_smiles("O")), strict=False):
                one.atoms.info.update(original.info)
                one.atoms.positions = original.positions
            return found

    given = AsGiven([reacted, inverted, unfinished, from_smiles("O")])
    one = search(smiles, proposals=[given], relax=partly, rule=DuplicateRule(mirror_images="kept"))
    outcomes = [account.outcome for account in run(one)]
    assert outcomes == ["new", "reacted", "inverted", "not converged", "reacted"]
    assert len(one.minima) == 1


def test_given_structures_come_first_and_an_exhausted_search_ends():
    conformers = [from_smiles("OCCCO", seed=seed) for seed in range(1, 6)]
    one = search("OCCCO", proposals=[Given(conformers)])
    accounts = run(one)
    assert [account.origin for account in accounts] == ["start"] + ["given"] * 5


def test_a_saddle_is_found_out_by_shaking():
    """Forces of eclipsed ethane vanish by symmetry, and no optimiser of energies leaves it."""
    staggered = molecule("C2H6")
    upper = staggered[staggered.positions[:, 2] > 0]
    lower = upper.copy()
    lower.positions[:, 2] *= -1
    eclipsed = upper + lower
    for confirm, count in ((False, 2), (True, 1)):
        one = search("CC", proposals=[Given([eclipsed])], confirm=confirm)
        run(one)
        assert len(one.minima) == count


def test_budgets_end_a_search():
    few = search("CCCCCC")
    run(few, minima=5)
    assert 5 <= len(few.minima) <= 5 + 32
    saturated = search("CCCC")
    run(saturated, saturation=0.9)
    assert saturated.saturation >= 0.9
    assert len(saturated.minima) == 2
    assert run(search("CCCC"), minutes=1e-9) == []
    for wrong in ({"minutes": 0}, {"minima": -1}, {"proposals": 0}, {"saturation": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            run(few, **wrong)


def test_a_search_goes_on_as_if_it_had_not_been_interrupted(tmp_path):
    whole = search("CCCCO", out=tmp_path / "whole.db", round_size=8)
    run(whole, proposals=57)
    options = {"out": tmp_path / "parts.db", "resume": True, "round_size": 8}
    run(search("CCCCO", **options), proposals=20)
    steps = search("CCCCO", **options).run(proposals=57)
    next(steps)
    steps.close()
    last = search("CCCCO", **options)
    run(last, proposals=57)
    assert [minimum.energy for minimum in last.minima] == [minimum.energy for minimum in whole.minima]
    assert [minimum.visits for minimum in last.minima] == [minimum.visits for minimum in whole.minima]
    assert last.ledger == whole.ledger
    stored = MinimaDatabase(tmp_path / "parts.db").table()
    np.testing.assert_allclose(stored["energy"], [minimum.energy for minimum in whole.minima])
    assert stored["visits"].tolist() == [minimum.visits for minimum in whole.minima]


def test_the_same_search_is_not_begun_twice_in_one_database(tmp_path):
    run(search("CCO", out=tmp_path / "a.db"), proposals=1)
    with pytest.raises(ValueError, match="resume"):
        search("CCO", out=tmp_path / "a.db")
    assert search("CCO", out=tmp_path / "a.db", seed=1).minima == []


def test_unacceptable_starts_are_refused():
    with pytest.raises(ValueError, match="periodic"):
        Search(MODEL, bulk("Cu"))
    with pytest.raises(TypeError, match="given"):
        Search(MODEL, [from_smiles("O")])
    for wrong in ({"seed": -1}, {"round_size": 0}, {"proposals": ["magic"]}, {"max_force": 0.0}):
        with pytest.raises(ValueError, match="some of" if "proposals" in wrong else next(iter(wrong))):
            run(Search(MODEL, from_smiles("CCO"), **wrong), proposals=1)
    falls_apart = from_smiles("CCO")
    relax = lambda structures: (  # noqa: E731
        dataclasses.replace(one, why="bonds changed") for one in relax_by_mmff("CCO")(structures)
    )
    with pytest.raises(ValueError, match="same compound"):
        run(Search(MODEL, falls_apart, relax=relax), proposals=1)


def test_a_rigid_molecule_has_one_minimum():
    one = search("O", proposals=[Given([from_smiles("O", seed=seed) for seed in range(3)])])
    run(one)
    assert [minimum.visits for minimum in one.minima] == [4]


def test_the_unseen_are_estimated_from_how_often_the_others_were_seen():
    """Draws from a hundred equally likely ones: the estimate of their number is right within its error."""
    rng = np.random.default_rng(0)
    totals = []
    for _ in range(50):
        visits = np.bincount(rng.integers(0, 100, 150), minlength=100)
        seen = visits[visits > 0]
        totals.append(len(seen) + unseen(seen))
    assert abs(np.mean(totals) - 100) < 5
    assert unseen([]) == unseen([3, 4]) == unseen([1]) == 0.0


def test_another_models_minima_are_kept_apart(tmp_path):
    from muller_brown import muller_brown

    file = tmp_path / "a.db"
    search("CCO", out=file)
    with pytest.raises(ValueError, match="of another model than the one given; take another file"):
        Search(muller_brown(), from_smiles("CCO"), proposals=["torsions"], relax=relax_by_mmff("CCO"), out=file)
    assert len(MinimaDatabase(file).searches()) == 1
    assert len(MinimaDatabase(file).models()) == 1


def test_hydrogens_that_run_into_each_other_are_no_minimum():
    """Small networks have holes there, far below all minima."""
    start = from_smiles("CCO")
    compound = Compound(start, mirror_images=True)
    assert compound.reaction(start) == ""
    methyl = [atom for atom in range(len(start)) if start.numbers[atom] == 1 and start.get_distance(0, atom) < 1.2]
    closed = start.copy()
    closed.set_angle(methyl[0], 0, methyl[1], 55.0, indices=[methyl[1]])
    assert compound.reaction(closed) == (
        f"H{methyl[0]} and H{methyl[1]} have run into each other ({closed.get_distance(*methyl[:2]):.2f} Å)"
    )
    assert Compound(closed, mirror_images=True).reaction(closed) == ""  # who begins so may stay so


def test_mirror_images_are_labelled_whichever_search_found_them(tmp_path):
    """Gauche of either hand, in two searches of one database; neither knows of the other."""
    rule = DuplicateRule(mirror_images="kept")
    one = search("CCO", rule=rule, round_size=10)
    run(one, proposals=60)
    hands = [minimum for minimum in one.minima if minimum.mirror_image_of is not None]
    pair = [one.minima[hands[0].mirror_image_of], hands[0]]
    database = MinimaDatabase(tmp_path / "a.db")
    for name, minimum in zip(("search-a", "search-b"), pair, strict=True):
        database.begin(name, minimum.atoms, one.settings)
        alone = dataclasses.replace(minimum, number=0, mirror_image_of=None, parent=None)
        database.commit(name, [alone], (), {})
    gathered = gather(database)
    assert [minimum.mirror_image_of for minimum in gathered] == [None, 0]
