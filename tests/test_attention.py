"""The attention table lists every directed pair once per layer and head, with the network's own numbers."""

import numpy as np
import pandas as pd

from so3lab.attention import attention_table


def test_table_is_complete_and_directed(potential64, ethanol):
    table = attention_table(potential64, ethanol)
    settings = potential64.settings
    per_layer = settings.num_heads + len(settings.degrees)
    close = sum(d < settings.cutoff for d in ethanol.get_all_distances()[~np.eye(9, dtype=bool)])
    assert len(table) == settings.num_layers * per_layer * close
    assert not table.duplicated(["layer", "kind", "head_or_degree", "receiver", "sender"]).any()
    np.testing.assert_allclose(
        table["distance"], ethanol.get_all_distances()[table["receiver"], table["sender"]], atol=1e-9
    )


def test_weights_do_not_depend_on_orientation_and_follow_atoms(potential64, ethanol):
    turned = ethanol.copy()
    turned.rotate(40, (1, 2, 3))
    turned = turned[::-1]
    before, after = attention_table(potential64, ethanol), attention_table(potential64, turned)
    after = after.assign(receiver=8 - after["receiver"], sender=8 - after["sender"])
    keys = ["layer", "kind", "head_or_degree", "receiver", "sender"]
    both = pd.merge(before, after, on=keys)
    assert len(both) == len(before)
    np.testing.assert_allclose(both["weight_x"], both["weight_y"], atol=1e-11)


def test_listening_is_not_symmetric(potential64, ethanol):
    table = attention_table(potential64, ethanol)
    one = table[(table["layer"] == 2) & (table["kind"] == "features") & (table["head_or_degree"] == 1)]
    matrix = one.pivot(index="receiver", columns="sender", values="weight").to_numpy()
    assert np.nanmax(np.abs(matrix - matrix.T)) > 1e-6
