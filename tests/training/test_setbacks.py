"""What a run has learned is not lost when a step goes astray."""

import numpy as np
import pytest
from emt_frames import labelled

from so3lab.network.settings import ModelSettings
from so3lab.training import TrainingSettings, loop, train

TINY = ModelSettings(
    num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=16
)
EPOCHS, ASTRAY = 12, 8
SETTINGS = TrainingSettings(epochs=EPOCHS, batch_size=4, warmup_steps=0)


@pytest.fixture(scope="module")
def data():
    whole = labelled()
    return whole.select(slice(0, 48)), whole.select(slice(48, 60))


def going_astray(factor: float, monkeypatch, times: int = 1):
    """Rates of an epoch so many times too large, as often as it is tried within ``times``."""
    usual, tried = loop.learning_rates, []

    def rates(settings, before, after, first_step, steps):
        found = usual(settings, before, after, first_step, steps)
        if first_step == (ASTRAY - 1) * steps and len(tried) < times:
            tried.append(first_step)
            return factor * found
        return found

    monkeypatch.setattr(loop, "learning_rates", rates)


@pytest.mark.parametrize("factor", [1e30, 300.0])  # no number any more; only far too large
def test_a_run_goes_back_to_its_best_weights_and_halves_its_rate(data, monkeypatch, tmp_path, factor):
    usual = list(train(*data, TINY, SETTINGS))
    going_astray(factor, monkeypatch)
    reports = list(train(*data, TINY, SETTINGS, checkpoint=tmp_path))
    assert [report.epoch for report in reports] == [*range(1, EPOCHS + 1)]
    assert reports[-1].setbacks == 1
    rates = [one.learning_rate / other.learning_rate for one, other in zip(reports, usual, strict=True)]
    assert rates[: ASTRAY - 1] == [1.0] * (ASTRAY - 1)
    np.testing.assert_allclose(rates[ASTRAY:], 0.5)
    best_before = min(report.valid_loss for report in reports[: ASTRAY - 1])
    assert reports[ASTRAY].valid_loss < 1.5 * best_before
    assert min(report.valid_loss for report in reports) <= best_before
    if factor == 300.0:
        assert reports[ASTRAY - 1].valid_loss > loop.LOST * best_before, "the test means an epoch that loses much"


def test_a_run_that_is_interrupted_after_a_setback_ends_with_the_same_weights(data, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    going_astray(300.0, monkeypatch)
    whole = list(train(*data, TINY, SETTINGS, checkpoint=tmp_path / "whole"))
    going_astray(300.0, monkeypatch)
    interrupted = train(*data, TINY, SETTINGS, checkpoint=tmp_path / "parts")
    for _ in range(ASTRAY):
        next(interrupted)
    interrupted.close()
    *_, last = train(*data, TINY, SETTINGS, checkpoint=tmp_path / "parts")
    assert last.setbacks == whole[-1].setbacks == 1
    assert last.valid_loss == whole[-1].valid_loss


def test_what_is_lost_again_and_again_stops_with_a_sentence(data, monkeypatch):
    going_astray(1e30, monkeypatch, times=100)
    with pytest.raises(
        FloatingPointError, match=f"stopped being a finite number at step .* of epoch {ASTRAY}; the best weights"
    ):
        list(train(*data, TINY, SETTINGS))
