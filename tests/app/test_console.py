"""What a command says while it works."""

import re
import time

import pandas as pd
import pytest

from so3lab.app.console import Console


def test_tables_in_a_file_are_not_folded(capsys):
    row = {f"a column with a long name {number}": "some words" for number in range(4)}
    Console().table(pd.DataFrame([row]))
    lines = capsys.readouterr().out.splitlines()
    assert all(name in lines[1] for name in row)
    assert lines[3].count("some words") == 4


def test_errors_are_words_without_the_number_of_the_system(capsys):
    Console().error(str(FileExistsError(17, "run.h5 exists")))
    assert capsys.readouterr().err == "so3lab: run.h5 exists\n"


def test_a_resumed_task_tells_the_time_of_what_is_left(capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Console().progress("simulating") as line:
        for share in (0.5, 0.6, 0.75):  # the first half was there before and took this process no time
            line.update(share)
            now[0] += 1000.0 * 0.1 if share == 0.5 else 1000.0 * 0.15
    seconds = [float(found) for found in re.findall(r"(\d+) s left", capsys.readouterr().err)]
    assert seconds == pytest.approx([400.0, 250.0])


def test_the_end_of_a_task_is_told_once(capsys):
    with Console().progress("searching") as line:
        for share in (0.5, 1.0, 1.0, 1.0):
            line.update(share)
    assert capsys.readouterr().err.count("100 %") == 1
