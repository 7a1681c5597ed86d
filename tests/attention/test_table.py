"""The attention table lists every directed pair once per layer and head, with the network's own numbers."""

import ase
import numpy as np
import pandas as pd
import pytest
import so3lr_reference

from so3lab.attention import Channel, attention_table, by_atom, by_elements, by_fragments, channels, fragments
from so3lab.pretrained import load_so3lr

KEYS = ["layer", "kind", "head_or_degree", "receiver", "sender"]


@pytest.fixture(scope="module")
def table(potential64, structure):
    return attention_table(potential64, structure)


def test_table_is_complete_and_directed(table, potential64, structure):
    settings, distances = potential64.settings, structure.get_all_distances()
    per_layer = settings.num_heads + len(settings.degrees)
    close = sum(d < settings.cutoff for d in distances[~np.eye(9, dtype=bool)])
    assert len(table) == settings.num_layers * per_layer * close
    assert not table.duplicated(KEYS).any()
    np.testing.assert_allclose(table["distance"], distances[table["receiver"], table["sender"]], atol=1e-9)


def test_weights_do_not_depend_on_orientation_and_follow_atoms(table, potential64, structure):
    turned = structure.copy()
    turned.rotate(40, (1, 2, 3))
    after = attention_table(potential64, turned[::-1])
    after = after.assign(receiver=8 - after["receiver"], sender=8 - after["sender"])
    both = pd.merge(table, after, on=KEYS)
    assert len(both) == len(table)
    np.testing.assert_allclose(both["weight_x"], both["weight_y"], atol=1e-11)


def test_weights_are_those_of_a_full_prediction(table, potential64, structure):
    result = potential64(structure, attention=True)
    real = np.asarray(result.graph.pair_mask)
    one = table[(table["layer"] == 2) & (table["kind"] == "euclidean") & (table["head_or_degree"] == 2)]
    np.testing.assert_allclose(one["weight"], result.attention.euclidean[1][:, real, 1].ravel(), atol=1e-11)


def test_listening_is_not_symmetric(table):
    one = table[(table["layer"] == 2) & (table["kind"] == "features") & (table["head_or_degree"] == 1)]
    matrix = one.pivot(index="receiver", columns="sender", values="weight").to_numpy()
    assert np.nanmax(np.abs(matrix - matrix.T)) > 1e-6


def test_groups_keep_the_sums(table, structure):
    atoms, elements = by_atom(table), by_elements(table, structure)
    groups = by_fragments(table, fragments(structure))
    total = table.groupby(["layer", "kind", "head_or_degree"])["weight"].sum()
    for grouped, column in ((atoms, "listens"), (atoms, "heard"), (elements, "sum"), (groups, "sum")):
        np.testing.assert_allclose(grouped.groupby(["layer", "kind", "head_or_degree"])[column].sum(), total)
    assert len(atoms) == 8 * len(structure)
    assert elements["pairs"].sum() == groups["pairs"].sum() == len(table)
    one = elements[(elements["listener"] == "O") & (elements["speaker"] == "O")]
    assert one.empty, "there is one oxygen"
    np.testing.assert_allclose(elements["sum"], elements["mean"] * elements["pairs"])


def test_fragments_are_heavy_atoms_with_their_hydrogens_or_whole_molecules(structure):
    found = fragments(structure)
    assert len(set(found)) == 3
    for hydrogen in np.flatnonzero(structure.numbers == 1):
        heavy = np.flatnonzero(structure.numbers > 1)
        nearest = heavy[structure.get_distances(hydrogen, heavy).argmin()]
        assert found[hydrogen] == found[nearest]
    two = structure + ase.Atoms("N2", [[9, 9, 9], [9, 9, 10.1]])
    assert list(fragments(two, "molecule")) == [0] * 9 + [1] * 2
    two.arrays["residuenumbers"] = np.array([4] * 9 + [2] * 2)
    assert list(fragments(two, "residue")) == [0] * 9 + [1] * 2


def test_what_cannot_be_grouped_is_refused(table, structure):
    with pytest.raises(ValueError, match="needs a structure with residues"):
        fragments(structure, "residue")
    with pytest.raises(ValueError, match="by must be 'group', 'molecule' or 'residue', got 'ring'"):
        fragments(structure, "ring")
    with pytest.raises(ValueError, match="a name for each of the 9 atoms of the table, got 3"):
        by_fragments(table, [0, 1, 2])
    with pytest.raises(ValueError, match="it lacks weight"):
        by_atom(table.drop(columns="weight"))


def test_channels_that_a_network_lacks_are_refused(potential64):
    settings = potential64.settings
    assert len(channels(settings)) == settings.num_layers * (settings.num_heads + len(settings.degrees))
    assert Channel(2, "euclidean", 1).words == "layer 2, degree 1"
    assert Channel(None, "features").words == "all layers, all heads"
    for wrong in (
        Channel(3, "features", 1),
        Channel(1, "features", 3),
        Channel(1, "euclidean", 4),
        Channel(1, None, 1),
    ):
        with pytest.raises(
            ValueError, match="channel must be one of a network with 2 layers, 2 heads and degrees 1, 2"
        ):
            wrong.members(settings)


@pytest.mark.study
def test_the_table_equals_the_published_coefficients(shared):
    stored = np.load(so3lr_reference.FOLDER / "so3lr_ethanol_f64.npz")
    atoms = ase.Atoms(stored["numbers"], stored["positions"], info={"charge": 0})
    table = attention_table(load_so3lr(so3lr_reference.FOLDER, "float64"), atoms)
    for layer in range(3):
        for kind, number, columns in (("features", 1, (1, 2, 3, 4)), ("euclidean", 2, (1, 2, 3, 4))):
            expected = np.full((len(atoms), len(atoms), 4), np.nan)
            expected[stored["idx_i"], stored["idx_j"]] = stored[f"layer{layer}_alpha{number}_ij"]
            for place, column in enumerate(columns):
                ours = table[
                    (table["layer"] == layer + 1) & (table["kind"] == kind) & (table["head_or_degree"] == column)
                ]
                assert len(ours) == len(stored["idx_i"])
                np.testing.assert_allclose(ours["weight"], expected[ours["receiver"], ours["sender"], place], atol=1e-6)
