"""What a command says while it works."""

import re
import time

import pytest

from so3lab.app.console import Console


def test_a_resumed_task_tells_the_time_of_what_is_left(capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Console().progress("simulating") as line:
        for share in (0.5, 0.6, 0.75):  # the first half was there before and took this process no time
            line.update(share)
            now[0] += 1000.0 * 0.1 if share == 0.5 else 1000.0 * 0.15
    seconds = [float(found) for found in re.findall(r"(\d+) s left", capsys.readouterr().err)]
    assert seconds == pytest.approx([400.0, 250.0])
