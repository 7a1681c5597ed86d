"""``so3lab train``: from labelled frames to a model file, resumable at any moment."""

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from so3lab.app.console import Console, Interrupted
from so3lab.app.inputs import add_data_arguments, load_data, names_of
from so3lab.app.tables import add_unit_argument, force_error
from so3lab.doctor.prepare import prepare_process
from so3lab.machine.files import check_writable
from so3lab.training.settings import GENTLE_LEARNING_RATE, TrainingSettings

if TYPE_CHECKING:
    import pandas

    from so3lab.datasets import Dataset
    from so3lab.potential import Potential
    from so3lab.training import EpochReport, TrainingPlan

DEFAULT_MINUTES = 5.0
_OF_THE_PLAN = (
    "energy_unit", "length_unit", "keys", "train", "valid", "test", "groups", "preset", "cutoff", "start_from",
    "trainable", "dtype", "also", "minutes", "epochs", "batch_size", "learning_rate", "patience_epochs", "seed",
)  # fmt: skip
"""Options that a run keeps in its plan."""


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        parents=[common],
        help="train a model",
        description="Train a SO3krates model. The run keeps itself in a folder, with its plan, checkpoints, learning "
        "curve and best model, as the training panel does: each opens and goes on with what the other left. After a "
        "crash or Ctrl-C, the same command with --resume goes on where it was.",
        examples=[
            "so3lab train ethanol --out my.so3.safetensors --minutes 5",
            "so3lab train frames.extxyz --out my.so3.safetensors --train 900 --valid 50",
            "so3lab train ethanol --also ethanol-hot --out my.so3.safetensors",
            "so3lab train mine.npz --energy-unit kcal/mol --out my.so3.safetensors",
            "so3lab train few.extxyz --start-from so3lr --epochs 40 \\",
            "       --out tuned.so3.safetensors",
            "so3lab train ethanol --run runs/run-1",
            "so3lab train --run runs/run-1 --resume",
        ],
    )
    add_data_arguments(parser, unless="with --resume what the run says")
    parser.add_argument("--out", type=Path, metavar="FILE", help="model file to write, NAME.so3.safetensors")
    parser.add_argument(
        "--run",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="folder that keeps the run, and its model (default: OUT.training)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    add_unit_argument(parser)
    parser.add_argument(
        "--also",
        action="append",
        metavar="SET",
        help="learn from all frames of this set, too: a file that says its units, or a name; can be given repeatedly",
    )
    _add_split(parser.add_argument_group("split"))
    _add_network(parser.add_argument_group("network"))
    _add_length(parser.add_argument_group("training"))
    parser.set_defaults(run=run)


def _add_split(group: Any) -> None:
    group.add_argument("--train", type=int, metavar="N", help="training frames (default: what the others leave)")
    group.add_argument("--valid", type=int, metavar="N", help="validation frames (default: 5 %%, at least 20)")
    group.add_argument(
        "--test", type=int, metavar="N", help="test frames (default: 10 %%, or all the rest with --train)"
    )
    group.add_argument(
        "--groups",
        metavar="LABEL",
        help="keep frames with the same LABEL, such as trajectory, in one part of the split",
    )


def _add_network(group: Any) -> None:
    group.add_argument("--preset", choices=["tiny", "small", "paper"], help="size of the network (default: small)")
    group.add_argument("--cutoff", type=float, metavar="A", help="Å within which atoms see each other (default: 5)")
    group.add_argument(
        "--start-from",
        metavar="MODEL",
        help="begin with this model's weights and settings: a file, a bundled name, or so3lr; the learning rate "
        f"is then {GENTLE_LEARNING_RATE:g} unless given (default: random weights)",
    )
    group.add_argument(
        "--trainable",
        choices=["all", "readout"],
        help="which weights learn: all (default) or the readout alone",
    )
    group.add_argument("--dtype", choices=["float32", "float64"], help="precision (default: float32)")


def _add_length(group: Any) -> None:
    length = group.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help=f"how long to train (default: {DEFAULT_MINUTES:g})")
    length.add_argument(
        "--epochs", type=int, metavar="N", help="passes over the data instead; reproducible bit for bit"
    )
    usual = TrainingSettings(epochs=1)
    group.add_argument("--batch-size", type=int, metavar="N", help=f"structures per step (default: {usual.batch_size})")
    group.add_argument(
        "--learning-rate", type=float, metavar="RATE", help=f"at its peak (default: {usual.learning_rate:g})"
    )
    group.add_argument(
        "--patience-epochs", type=int, metavar="N", help="stop without improvement for so many (default: never)"
    )
    group.add_argument("--seed", type=int, metavar="N", help="of split, weights and order (default: 0)")


def run(options: argparse.Namespace, console: Console) -> int:
    """Train, save, test."""
    import so3lab
    from so3lab.training import train_in_folder

    folder = _folder(options)
    _check(options, folder)
    prepare_process()
    plan, data = _planned(options, folder, console)
    split, _ = plan.split(data)
    learned = len(plan.training_frames(data, split))  # refuses before there is a folder
    start = so3lab.load(plan.start) if plan.start else None
    reports = train_in_folder(folder, plan, data=data, start=start)
    also = "".join(f" and {name}" for name in plan.also)
    console.say(f"{data}{also}: {learned} train, {len(split.valid)} valid, {len(split.test)} test")
    last = _follow(reports, folder, options.out, console)
    if last is None:
        console.warn(f"the run in {folder} had already finished; give more --minutes or --epochs to a new one")
        return 0
    result = _results(last, folder, options.out)
    if len(split.test):
        result["test"] = _tested(last.best, data.select(split.test), console)
    _save(last, folder, options.out, console)
    console.result(result)
    return 0


def _folder(options: argparse.Namespace) -> Path:
    """Of the run."""
    if options.folder is not None:
        return options.folder
    if options.out is None:
        raise ValueError("give --out FILE, the model file to write, or --run DIR, a folder that keeps run and model")
    return options.out.with_name(options.out.name + ".training")


def _check(options: argparse.Namespace, folder: Path) -> None:
    """Refuse options that exclude each other, and files of another run."""
    for name in ("preset", "cutoff"):
        if options.start_from and getattr(options, name) is not None:
            raise ValueError(
                f"--{name} cannot be chosen with --start-from, whose model brings its own; leave one of them out"
            )
    if options.out is not None:
        if not options.out.name.endswith(".safetensors"):
            raise ValueError(f"--out must end in .so3.safetensors, got {options.out}")
        check_writable(options.out)
    taken = next((one for one in (folder, options.out) if one is not None and one.exists()), None)
    if taken is not None and not options.resume:
        raise FileExistsError(f"{taken} exists; add --resume to go on with that run, or choose another name")


def _planned(options: argparse.Namespace, folder: Path, console: Console) -> "tuple[TrainingPlan, Dataset]":
    """What to train, and its data: as the options say, or as the run that goes on does."""
    from so3lab.training import read_plan

    if options.data is not None:
        data = load_data(options, console)
        return _plan(options, len(data)), data
    if not options.resume:
        raise ValueError("DATA must be given: a file, or a name from 'so3lab data list'; --resume alone needs none")
    given = next((name for name in _OF_THE_PLAN if getattr(options, name) is not None), None)
    if given is not None:
        raise ValueError(f"--{given.replace('_', '-')} is in the plan of {folder}; leave it out, or give DATA as well")
    plan = read_plan(folder)
    options.data, options.energy_unit, options.length_unit = plan.data, plan.energy_unit, plan.length_unit
    options.keys = ",".join(f"{quantity}={name}" for quantity, name in plan.keys.items()) if plan.keys else None
    return plan, load_data(options, console)


def _plan(options: argparse.Namespace, frames: int) -> "TrainingPlan":
    """The run that the options describe."""
    from so3lab.training import TrainingPlan

    train, valid, test = _counts(options, frames)
    minutes = options.minutes or (None if options.epochs else DEFAULT_MINUTES)
    given = {
        name: getattr(options, name)
        for name in ("batch_size", "learning_rate", "patience_epochs", "trainable")
        if getattr(options, name) is not None
    }
    if options.start_from:
        given.setdefault("learning_rate", GENTLE_LEARNING_RATE)
    seed = options.seed or 0
    return TrainingPlan(
        data=options.data,
        train=train,
        valid=valid,
        test=test,
        settings=TrainingSettings(epochs=options.epochs, minutes=minutes, seed=seed, **given),
        preset=options.preset or "small",
        start=options.start_from,
        split_seed=seed,
        energy_unit=options.energy_unit,
        length_unit=options.length_unit,
        keys=names_of(options.keys),
        groups=options.groups,
        cutoff=options.cutoff,
        dtype=options.dtype or "float32",
        also=tuple(options.also or ()),
    )


def _follow(
    reports: Generator["EpochReport"], folder: Path, out: Path | None, console: Console
) -> "EpochReport | None":
    """Show progress to the end, and give the last report. What stops early saves what there is."""
    last = None
    try:
        with console.progress("training") as progress:
            progress.update(0.0, "compiling")
            for last in reports:
                progress.update(last.progress, _note(last, console))
    except KeyboardInterrupt:
        reports.close()
        _save(last, folder, out, console)
        raise Interrupted(f"interrupted; the same command with --resume goes on from {folder}") from None
    except FloatingPointError:
        _save(last, folder, out, console)
        raise
    return last


def _results(last: "EpochReport", folder: Path, out: Path | None) -> dict[str, Any]:
    """What the command tells of a run."""
    from so3lab.training.recorded import MODEL
    from so3lab.training.runs import CURVE

    return {
        "model": str(out or folder / MODEL),
        "run": str(folder),
        "epochs": last.epoch,
        "seconds": last.seconds,
        "learning_curve": str(folder / CURVE),
        "valid_force_mae_meV_A": last.best.metadata["valid_force_mae_meV_A"],
        "valid_energy_mae_meV": last.best.metadata["valid_energy_mae_meV"],
    }


def _tested(best: "Potential", test_data: "Dataset", console: Console) -> "pandas.DataFrame":
    """Errors on frames that were kept aside, which the model file will tell too."""
    from so3lab.training import evaluate

    summary = evaluate(best, test_data).summary
    best.metadata["test"] = summary.to_dict("records")
    best.metadata["test_frames"] = len(test_data)
    console.table(summary, f"errors on {len(test_data)} test frames")
    return summary


def _counts(options: argparse.Namespace, frames: int) -> tuple[int, int, int | None]:
    """Numbers of training, validation and test frames; what is not given is chosen sensibly."""
    valid = max(min(20, frames // 4), frames // 20) if options.valid is None else options.valid
    if valid < 1:
        raise ValueError(
            f"training needs frames to learn from and others to validate on, but of {frames} none is left to validate "
            "on; give more frames (4 at least), or --valid 1"
        )
    if options.train is not None:
        return options.train, valid, options.test
    test = frames // 10 if options.test is None else options.test
    if frames - valid - test < 1:
        raise ValueError(f"--valid and --test leave no training frames of {frames}; ask for fewer")
    return frames - valid - test, valid, test


def _note(report: "EpochReport", console: Console) -> str:
    error = force_error(report.valid_force_mae_meV_A, console.unit)
    return f"epoch {report.epoch}  validation force MAE {error}{_setbacks(report.setbacks)}"


def _setbacks(count: int) -> str:
    return f"  {count}× back to the best weights with half the learning rate" if count else ""


def _save(report: "EpochReport | None", folder: Path, out: Path | None, console: Console) -> None:
    """Write the best potential so far where it was asked for, and to the run, which knows nothing of tests yet."""
    from so3lab.training.recorded import MODEL

    if report is not None:
        for path in filter(None, (folder / MODEL, out)):
            report.best.save(path)
        console.say(f"saved {out or folder / MODEL}")
