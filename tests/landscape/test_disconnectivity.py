"""The tree of superbasins says of every energy what the graph of minima and saddles says."""

import networkx as nx
import numpy as np
import pytest

from so3lab.landscape import disconnectivity_tree


def random_landscape(seed: int, minima: int = 40, saddles: int = 60):
    rng = np.random.default_rng(seed)
    energies = rng.normal(0.0, 0.2, minima)
    ends = rng.integers(0, minima, (saddles, 2))
    joining = [(int(a), int(b), float(max(energies[[a, b]]) + rng.exponential(0.2))) for a, b in ends]
    return energies, joining


def joined_below(energies, saddles, level) -> set[frozenset[int]]:
    graph = nx.Graph()
    graph.add_nodes_from(np.flatnonzero(energies <= level).tolist())
    graph.add_edges_from((a, b) for a, b, energy in saddles if energy <= level)
    return {frozenset(part) for part in nx.connected_components(graph)}


@pytest.mark.parametrize("seed", range(3))
def test_superbasins_are_the_connected_parts_below_every_energy(seed):
    energies, saddles = random_landscape(seed)
    tree = disconnectivity_tree(energies, saddles)
    for level in [*(energy for *_, energy in saddles), *energies, -9.0, 9.0]:
        found = tree.superbasins(level)
        assert {frozenset(part) for part in found} == joined_below(energies, saddles, level)
        assert [energies[part].min() for part in found] == sorted(energies[part].min() for part in found)


def test_leaves_have_places_of_their_own_and_branches_do_not_interleave():
    energies, saddles = random_landscape(5)
    tree = disconnectivity_tree(energies, saddles)
    assert (tree.saddles[: tree.minima] == -1).all()
    assert sorted(tree.x[: tree.minima]) == list(range(tree.minima))
    table = tree.table()
    for node in range(tree.minima, len(tree.energies)):
        leaves = [m for m in range(tree.minima) if node in ancestors(tree, m)]
        assert table["size"][node] == len(leaves)
        assert np.ptp(tree.x[leaves]) == len(leaves) - 1
        lowest = min(leaves, key=lambda m: tree.energies[m])
        assert tree.x[node] == tree.x[lowest]
        assert tree.energies[node] >= tree.energies[leaves].max()
        assert saddles[tree.saddles[node]][2] == tree.energies[node]
    assert set(tree.roots) == {ancestors(tree, m)[-1] for m in range(tree.minima)}


def ancestors(tree, node) -> list[int]:
    way = [node]
    while tree.parents[way[-1]] >= 0:
        way.append(int(tree.parents[way[-1]]))
    return way


def test_a_funnel_has_its_lowest_minimum_in_the_middle():
    tree = disconnectivity_tree(np.arange(7.0), [(0, k, 10.0 + k) for k in range(1, 7)])
    assert tree.x[0] == 3.0


def test_saddles_of_one_energy_unite_all_their_minima_at_once_and_copies_unite_nothing():
    tree = disconnectivity_tree([0.0, 0.1, 0.2, 0.3], [(0, 1, 1.0), (1, 2, 1.0), (3, 3, 0.5)])
    assert len(tree.energies) == 5
    assert tree.parents.tolist() == [4, 4, 4, -1, -1]
    assert tree.roots == [3, 4]


def test_levels_may_be_coarser_and_never_lower():
    energies, saddles = random_landscape(2)
    exact, coarse = disconnectivity_tree(energies, saddles), disconnectivity_tree(energies, saddles, step=0.3)
    levels = (coarse.energies[coarse.minima :] - energies.min()) / 0.3
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-9)
    assert len(coarse.energies) < len(exact.energies)
    assert joined_below(energies, saddles, energies.min() + 0.6) == {
        frozenset(part) for part in coarse.superbasins(energies.min() + 0.6 + 1e-9)
    }


def test_one_minimum_is_a_tree_and_a_shallow_saddle_is_level_with_its_minimum():
    alone = disconnectivity_tree([-3.0], [])
    assert alone.superbasins(0.0) == [[0]]
    shallow = disconnectivity_tree([0.0, 0.2], [(0, 1, 0.1999)])
    assert shallow.energies[2] == 0.2


@pytest.mark.parametrize(
    ("energies", "saddles", "step", "said"),
    [
        ([], [], None, "energies must be"),
        ([0.0, np.nan], [], None, "finite"),
        ([0.0, 0.1], [(0, 2, 1.0)], None, "minima 0 to 1, got 0 and 2"),
        ([0.0, 0.1], [(0, 1, 0.05)], None, "must lie above"),
        ([0.0, 0.1], [(0, 1, np.inf)], None, "must lie above"),
        ([0.0], [], 0.0, "step must be positive"),
    ],
)
def test_what_is_no_landscape_is_refused(energies, saddles, step, said):
    with pytest.raises(ValueError, match=said):
        disconnectivity_tree(energies, saddles, step=step)
