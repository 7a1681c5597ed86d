"""Speed leaves compilation out, and summaries are means of what is in the file."""

import time

import numpy as np
import pytest
from known_frames import write

from so3lab.app.console import Console
from so3lab.app.md_results import SpeedMeter, summary_of, summary_text, with_cli_options


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
    assert summary_text(summary | {"ns_per_day": 12.345}) == "11 frames, mean temperature 305 K, 12.3 ns/day"
    nothing = summary_of(tmp_path / "not-there.h5")
    assert nothing["frames"] == nothing["steps"] == 0
    assert np.isnan(nothing["mean_temperature_K"])


def test_the_way_out_is_told_in_words_of_the_command_line():
    told = "a bond is longer than 2 times its length; pass limits=Limits(bond_stretch=None) to go on"
    assert with_cli_options(told).endswith("pass --limit-bond-stretch none to go on")
    assert with_cli_options("another sentence") == "another sentence"
    assert with_cli_options(None) is None
