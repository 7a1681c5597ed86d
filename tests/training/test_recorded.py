"""Runs in folders go on where they were, keep their best weights, and can be compared."""

import inspect
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.io import write
from emt_frames import labelled
from fake_training import fake_evaluate, fake_train

import so3lab
from so3lab import training
from so3lab.training import TrainingPlan, TrainingSettings, read_curve, read_plan, runs_table, train_in_folder
from so3lab.training.recorded import MODEL

PLAN = TrainingPlan("emt", 40, 10, TrainingSettings(epochs=12, batch_size=4), preset="tiny")


@pytest.fixture(scope="module")
def data():
    return labelled()


@pytest.mark.parametrize(("real", "fake"), [(training.train, fake_train), (training.evaluate, fake_evaluate)])
def test_the_fakes_are_called_as_the_real_ones(real, fake):
    assert [(one.name, one.kind, one.default) for one in inspect.signature(real).parameters.values()] == [
        (one.name, one.kind, one.default) for one in inspect.signature(fake).parameters.values()
    ]


def test_a_run_leaves_its_plan_its_curve_and_its_best_weights(data, tmp_path):
    reports = list(train_in_folder(tmp_path / "run", PLAN, data=data, train=fake_train))
    assert read_plan(tmp_path / "run") == PLAN
    curve = read_curve(tmp_path / "run")
    assert curve["epoch"].tolist() == list(range(1, 13))
    assert curve["valid_C_force_mae_meV_A"].tolist() == pytest.approx(
        [one.element_force_mae_meV_A["C"][1] for one in reports]
    )
    kept = so3lab.load(tmp_path / "run" / MODEL)
    assert kept.metadata["epoch"] == 12
    assert len(kept.metadata["split"]["test_frames"]) == 10


def test_a_stopped_run_keeps_the_best_and_goes_on_without_a_gap(data, tmp_path):
    reports = train_in_folder(tmp_path, PLAN, data=data, train=fake_train)
    for _ in range(5):
        next(reports)
    reports.close()
    assert so3lab.load(tmp_path / MODEL).metadata["epoch"] == 5
    with (tmp_path / "curve.csv").open("a") as file:
        file.write("6,120,0.0")  # of a process that died while it wrote
    assert next(train_in_folder(tmp_path, data=data, train=fake_train)).epoch == 6
    rest = list(train_in_folder(tmp_path, PLAN, data=data, train=fake_train))
    assert rest[0].epoch == 7
    assert read_curve(tmp_path)["epoch"].tolist() == list(range(1, 13))
    assert list(train_in_folder(tmp_path, data=data, train=fake_train)) == []
    assert len(read_curve(tmp_path)) == 12


def written(frames, path):
    """A file of labelled frames."""
    write(path, frames.to_atoms())
    return str(path)


def test_further_sets_are_learned_from_whole_and_change_no_other_part(data, tmp_path):
    seen = []

    def watching(train_data, valid_data, *arguments, **options):
        seen.append((train_data, valid_data))
        return fake_train(train_data, valid_data, *arguments, **options)

    more = [labelled(12, seed=1000), labelled(7, formula="CH3OH", seed=2000)]
    names = tuple(written(one, tmp_path / f"more{k}.extxyz") for k, one in enumerate(more))
    plan = replace(PLAN, also=names)
    for folder, one in (("alone", PLAN), ("beside", plan)):
        list(train_in_folder(tmp_path / folder, one, data=data, train=watching))
    (alone, valid_alone), (beside, valid_beside) = seen
    assert [len(one) for one in (alone, beside)] == [40, 59]
    assert beside.name == alone.name
    expected = [*alone.positions, *more[0].positions, *more[1].positions]
    assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(beside.positions, expected, strict=True))
    assert np.array_equal(np.stack(valid_alone.positions), np.stack(valid_beside.positions))
    kept = [so3lab.load(tmp_path / folder / MODEL).metadata["split"] for folder in ("alone", "beside")]
    assert kept[0]["test_frames"] == kept[1]["test_frames"]
    assert kept[1]["also"] == list(names)
    assert read_plan(tmp_path / "beside") == plan


def test_further_sets_must_not_hold_what_validates_or_tests_nor_another_level(data, tmp_path):
    parts, _ = PLAN.split(data)
    for part in (parts.valid, parts.test):
        name = written(data.select([*parts.train[:2], part[0]]), tmp_path / "known.extxyz")
        with pytest.raises(ValueError, match=r"1 of the 3 frames of .* do so in 'emt'; leave that set out"):
            replace(PLAN, also=(name,)).training_frames(data, parts)
    leveled = replace(data, meta={"level_of_theory": "PBE"})
    with pytest.raises(ValueError, match="one level of theory, but 'emt' has PBE, and 'ala2-hot' has GFN2-xTB"):
        replace(PLAN, also=("ala2-hot",)).training_frames(leveled, parts)


def test_what_fails_leaves_the_weights_before(data, tmp_path):
    def failing(*arguments, **options):
        yield from (one for one, _ in zip(fake_train(*arguments, **options), range(3), strict=False))
        raise FloatingPointError("the loss stopped being a finite number")

    with pytest.raises(FloatingPointError):
        list(train_in_folder(tmp_path, PLAN, data=data, train=failing))
    assert so3lab.load(tmp_path / MODEL).metadata["epoch"] == 3


def test_runs_are_compared_by_their_best_epochs(data, tmp_path):
    for name, rate in (("first", 4e-3), ("second", 1e-3)):
        settings = TrainingSettings(epochs=12, batch_size=4, learning_rate=rate)
        plan = TrainingPlan("emt", 40, 10, settings, start="ethanol" if name == "second" else None, preset="tiny")
        list(train_in_folder(tmp_path / name, plan, data=data, start=so3lab.load("ethanol"), train=fake_train))
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "plan.json").write_text(json.dumps(PLAN.to_dict()))
    (tmp_path / "no run").mkdir()
    table = runs_table(tmp_path).set_index("run")
    assert list(table.index) == ["begun", "first", "second"]
    assert table["network"].tolist() == ["tiny", "tiny", "from ethanol"]
    assert table["done"].tolist() == [0.0, 1.0, 1.0]
    assert table.loc["second", "valid_force_mae_meV_A"] < table.loc["first", "valid_force_mae_meV_A"]
    assert np.isnan(table.loc["begun", "valid_force_mae_meV_A"])
    assert not table["trouble"].any()
    assert runs_table(tmp_path / "nowhere").empty


@pytest.mark.parametrize(
    ("file", "written", "sentence"),
    [
        ("plan.json", "{", "plan.json is damaged"),
        ("plan.json", "[]", "plan.json cannot be used"),
        ("plan.json", b"\xff\xfe", "plan.json is damaged"),
        ("curve.csv", "epoch,seconds\n1,2\n", "no learning curve: it has no column progress"),
        ("curve.csv", b"\xff\xfe\x00", "curve.csv is damaged"),
        ("curve.csv", "\n", "curve.csv is damaged"),
    ],
)
def test_a_damaged_run_is_listed_with_its_reason_and_hides_no_other(data, tmp_path, file, written, sentence):
    for name in ("good", "worn"):
        list(train_in_folder(tmp_path / name, PLAN, data=data, train=fake_train))
    (tmp_path / "worn" / file).write_bytes(written if isinstance(written, bytes) else written.encode())
    table = runs_table(tmp_path).set_index("run")
    assert table.loc["good", "epochs"] == 12
    assert table.loc["good", "trouble"] == ""
    assert sentence in table.loc["worn", "trouble"]
    assert table.loc["worn", "train"] == 40 or file == "plan.json"


def test_nobody_trains_in_the_folder_of_a_run_that_goes_on(data, tmp_path):
    first = train_in_folder(tmp_path, PLAN, data=data, train=fake_train)
    next(first)
    with pytest.raises(
        ValueError, match=r"somebody else trains in .*; stop that run or wait for its end, or give this"
    ):
        next(train_in_folder(tmp_path, data=data, train=fake_train))
    first.close()
    assert next(train_in_folder(tmp_path, data=data, train=fake_train)).epoch == 2


@pytest.mark.process
def test_a_process_that_dies_gives_its_folder_back(data, tmp_path):
    holder = f"""
import time
from pathlib import Path
from so3lab.training.recorded import _alone_in, TrainingPlan
with _alone_in(Path({str(tmp_path)!r}), TrainingPlan("emt", 1, 1, None)):
    print("held", flush=True)
    time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="somebody else trains in"):
            next(train_in_folder(tmp_path, PLAN, data=data, train=fake_train))
        process.kill()
    assert next(train_in_folder(tmp_path, PLAN, data=data, train=fake_train)).epoch == 1


def test_folders_of_other_runs_and_of_none_are_refused(data, tmp_path):
    next(train_in_folder(tmp_path / "run", PLAN, data=data, train=fake_train))
    other = TrainingPlan("emt", 39, 10, PLAN.settings, preset="tiny")
    with pytest.raises(ValueError, match="holds another run, made from another train; choose another name"):
        next(train_in_folder(tmp_path / "run", other, data=data, train=fake_train))
    with pytest.raises(ValueError, match="holds no run to go on with"):
        next(train_in_folder(tmp_path / "none", data=data, train=fake_train))
    with pytest.raises(FileNotFoundError, match="holds no training run"):
        read_plan(tmp_path / "none")
    from_another = TrainingPlan("emt", 40, 10, PLAN.settings, start="so3lr")
    with pytest.raises(ValueError, match=r"begins with 'so3lr'; pass start=so3lab.load"):
        next(train_in_folder(tmp_path / "tuned", from_another, data=data, train=fake_train))
    (tmp_path / "run" / "plan.json").write_text('{"data": "emt", "colour": "red"}')
    with pytest.raises(ValueError, match="a plan of a training run lacks something"):
        read_plan(tmp_path / "run")
    with pytest.raises(ValueError, match="preset must be one of"):
        TrainingPlan("emt", 40, 10, PLAN.settings, preset="huge")
