"""Batches hold the frames that they should, with their pairs."""

import numpy as np
import pytest
from emt_frames import labelled

from so3lab.training.batches import batch_graph, batch_order, frames_from, mean_neighbors


def test_a_batch_has_the_pairs_of_its_frames():
    frames = frames_from(labelled(8), {1: 0.0, 6: 0.0, 8: 0.0}, 4.0)
    graph = batch_graph(
        frames._replace(**{name: value[:3] for name, value in frames._asdict().items() if value is not None})
    )
    structure = np.asarray(graph.structure_index)
    assert (structure[np.asarray(graph.receivers)] == structure[np.asarray(graph.senders)])[
        np.asarray(graph.pair_mask)
    ].all()
    assert mean_neighbors(frames) == pytest.approx(2 * frames.pair_mask.sum() / frames.atom_mask.sum())


def test_order_visits_every_frame_once_per_pass_and_does_not_depend_on_the_cut():
    whole = batch_order(50, 4, 0, 100, seed=3).ravel()
    for start in range(0, 400, 50):
        assert sorted(whole[start : start + 50]) == list(range(50))
    pieces = np.concatenate([batch_order(50, 4, first, 25, seed=3).ravel() for first in (0, 25, 50, 75)])
    np.testing.assert_array_equal(whole, pieces)
