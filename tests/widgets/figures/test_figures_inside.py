"""How far a torsion is seen, drawn: what does not change at all has open marks at the bottom of a logarithmic axis."""

import pandas as pd
import pytest
from so3lab_widgets import figures


def test_spans_are_drawn_against_length_and_nothing_is_an_open_mark():
    scan = pd.DataFrame(
        {
            "carbons": [4, 4, 5, 5],
            "torsion_deg": [0.0, 90.0, 0.0, 90.0],
            "energy": [0.0, 0.2, 1e-6, 0.0],
            "learned": [-0.1, 0.2, 0.0, 0.0],
        }
    )
    whole, learned = figures.torsion_reach(scan).data
    assert whole.y == pytest.approx([0.2, 1e-6])
    assert learned.y[0] == pytest.approx(0.3)
    assert list(learned.marker.symbol) == ["circle", "circle-open"]
    assert list(learned.text) == ["0.3 eV", "does not change"]
    with pytest.raises(ValueError, match="no column 'learned'"):
        figures.torsion_reach(scan.drop(columns="learned"))
