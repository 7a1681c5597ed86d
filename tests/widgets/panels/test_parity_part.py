"""The part of the training panel that evaluates: points of errors open their structures."""

import threading

import numpy as np
import pytest
from fake_training import FORCE_ERROR, WORST, fake_evaluate
from plot_page import from_page
from so3lab_widgets.panels.train_panel import TrainPanel
from training_panel import FRAMES, data, evaluated, trained
from waiting import wait_for


@pytest.fixture
def panel(train_panel):
    return train_panel


def test_points_of_parity_plots_open_their_structures(panel):
    evaluated(trained(panel))
    assert "30 of 60 frames had a part in training and are left out" in panel.parity.about.value
    found = panel.parity.found
    worst = found.forces.iloc[int((found.forces["predicted"] - found.forces["reference"]).abs().argmax())]
    figure = panel.parity.figure
    number = [trace.name for trace in figure.data].index(worst["element"])
    figure._js2py_pointsCallback = {
        "event_type": "plotly_click",
        "points": {"trace_indexes": [number], "point_indexes": [0], "xs": [worst["reference"]],
                   "ys": [worst["predicted"]]},
        "selector": None,
    }  # fmt: skip
    assert panel.view.shown == worst["frame"] == FRAMES - 1
    assert panel.view.viewer.picked == [worst["atom"]]
    assert panel.view.arrows.value == "both"
    assert panel.view.viewer.arrow_names == ["reference", "predicted"]
    wait_for(lambda: len(panel.view.viewer.latest.get("arrows", ())) == 18, "two arrows for each of nine atoms")
    np.testing.assert_allclose(panel.view.forces(FRAMES - 1)[:9], panel.data.dataset.forces[FRAMES - 1])
    panel.view.arrows.value = "error"
    off = panel.view.forces(FRAMES - 1)
    assert off[0, 0] == pytest.approx(WORST * FORCE_ERROR)
    assert off[1, 2] == pytest.approx(-FORCE_ERROR)
    np.testing.assert_allclose(off + panel.data.dataset.forces[FRAMES - 1], _predicted(panel, FRAMES - 1))
    assert f"frame {FRAMES - 1}" in panel.view.viewer.caption
    panel.show_frame(3)
    assert "not evaluated" in panel.view.readout.value


def _predicted(panel: TrainPanel, frame: int) -> np.ndarray:
    panel.show_frame(frame, "predicted")
    return panel.view.forces(frame)


@pytest.mark.parametrize(("picture", "xs"), [("Frames", [FRAMES - 1]), ("Elements", ["C"]), ("Energies", [0.0])])
def test_other_pictures_of_errors_open_structures_too(panel, picture, xs):
    evaluated(trained(panel))
    panel.show_frame(0)
    panel.parity.picture.value = picture
    trace = 0 if picture != "Energies" else 1
    from_page(panel.parity.figure, "click", trace, xs)
    if picture == "Energies":
        reference = panel.parity.found.structures["reference_energy"]
        expected = panel.parity.found.structures["frame"][(reference - reference.mean()).abs().argmin()]
    else:
        expected = FRAMES - 1
    assert panel.view.shown == expected


def test_an_evaluation_that_ends_late_is_not_shown_with_another_set(panel):
    late, begun = threading.Event(), threading.Event()

    def slow(*given, **options):
        begun.set()
        assert late.wait(60)
        return fake_evaluate(*given, **options)

    trained(panel)
    panel.parity._evaluate = slow
    panel.evaluate()
    assert begun.wait(60)
    panel.load_data(data().select(range(10)))
    panel.data.job.join()
    late.set()
    panel.parity.job.join()
    assert panel.parity.found is None
    assert panel.parity.message.sentence == ""
    assert "meV" not in panel.view.readout.value
