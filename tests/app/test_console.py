"""What a command says while it works."""

import re
import time

import pandas as pd
import pytest

from so3lab.app.console import Console

SENTENCE = "the bond O2-H4 changed by more than 1.0 Å; the model does not know this geometry"


def lines_of(capsys, table, **options) -> list[str]:
    Console(**options).table(table)
    return capsys.readouterr().out.splitlines()


def test_tables_fit_eighty_columns_and_fold_sentences_at_blanks(capsys):
    rows = [{"replica": f"replica_{n:04d}.h5", "seed": n, "frames": 50_001, "result": SENTENCE} for n in range(2)]
    lines = lines_of(capsys, pd.DataFrame(rows))
    assert max(map(len, lines)) <= 80
    for row in rows:
        assert sum(row["replica"] in line for line in lines) == 1
    assert " ".join(" ".join(lines).split()).count("O2-H4") == 2


def test_a_name_is_never_broken_even_where_nothing_fits(capsys):
    path = "/a/very/long/path" * 8
    lines = lines_of(capsys, pd.DataFrame([{"file": path, "result": SENTENCE}]))
    assert any(path in line for line in lines)


def test_names_of_rows_are_kept(capsys):
    table = pd.DataFrame({"frames": [3, 2]}, index=["all", "C"])
    words = [line.split() for line in lines_of(capsys, table)]
    assert words[0] == ["frames"]
    assert words[2:] == [["all", "3"], ["C", "2"]]


def test_a_finished_task_says_so_once(capsys):
    with Console().progress("searching") as line:
        for _ in range(5):
            line.update(1.0, "all")
    assert capsys.readouterr().err.count("100 %") == 1


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


def test_signs_of_smiles_are_neither_pictures_nor_styles(capsys):
    console = Console()
    for tell in (console.say, console.warn, console.error, console.line):
        tell("smiles:O: [H][H] and [bold]")
    console.table(pd.DataFrame([{"name": "smiles:O: [H][bold]"}]), "[H] of :O:")
    told = "".join(capsys.readouterr())
    assert told.count("smiles:O: [H][H] and [bold]") == 4
    assert "smiles:O: [H][bold]" in told
    assert "[H] of :O:" in told
