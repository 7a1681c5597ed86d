"""Speed leaves compilation out, and summaries are means of what is in the file."""

import time

import numpy as np
import pytest
from known_frames import write

from so3lab.app.console import Console
from so3lab.app.md_results import SpeedMeter, summary_lines, summary_of, with_cli_options, with_error


def test_speed_is_that_after_the_chunk_in_which_programs_were_compiled(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter = SpeedMeter(Console())
    for step, seconds in ((0, 30.0), (100, 20.0), (300, 1.0), (600, 2.0)):
        now[0] += seconds
        meter.update(step)
        if step <= 100:
            assert meter.ns_per_day(0.5) == {}
    assert meter.ns_per_day(0.5)["ns_per_day"] == pytest.approx(0.5e-6 * 86400 / (3.0 / 500))
    assert capsys.readouterr().err.count("first frame after") == 1


def test_a_summary_holds_what_the_file_holds(tmp_path):
    summary = summary_of(write(tmp_path / "run.h5", 11))
    assert (summary["frames"], summary["steps"], summary["mean_temperature_K"]) == (11, 200, 305.0)
    first, temperature, *_, speed = summary_lines(summary | {"ns_per_day": 12.345})
    assert first == "11 frames"
    assert temperature.split()[:3] == ["mean", "temperature", "305.0"]
    assert speed.split() == ["speed", "12.3", "ns/day"]
    nothing = summary_of(tmp_path / "not-there.h5")
    assert nothing["frames"] == nothing["steps"] == 0
    assert np.isnan(nothing["mean_temperature_K"])


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [(301.234, 4.2, "301.2 ± 4.2"), (301.234, 42.0, "301 ± 42"), (-0.01234, 0.00056, "-0.01234 ± 0.00056"),
     (301.234, float("nan"), "301"), (float("nan"), float("nan"), "")],
)  # fmt: skip
def test_numbers_have_the_digits_that_their_error_leaves(value, error, words):
    assert with_error(value, error, 3) == words


def test_a_drift_is_told_per_atom():
    summary = {
        "frames": 9,
        "atoms": 4,
        "mean_temperature_K": 300.0,
        "conserved_energy_drift_eV_per_ps": 0.008,
        "conserved_energy_drift_error_eV_per_ps": 0.0004,
    }
    assert summary_lines(summary)[-1].endswith("drifts by 2.00 ± 0.10 meV/ps per atom")


def test_the_way_out_is_told_in_words_of_the_command_line():
    told = "a bond is longer than 2 times its length; pass limits=Limits(bond_stretch=None) to go on"
    assert with_cli_options(told).endswith("pass --limit-bond-stretch none to go on")
    assert with_cli_options("another sentence") == "another sentence"
    assert with_cli_options(None) is None
