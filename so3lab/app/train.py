"""``so3lab train``: from labelled frames to a model file, resumable at any moment."""

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from so3lab.app.console import Console, Interrupted
from so3lab.app.inputs import add_data_arguments, load_data
from so3lab.app.tables import add_unit_argument, force_error
from so3lab.doctor.prepare import prepare_process
from so3lab.machine.files import check_writable

if TYPE_CHECKING:
    import pandas

    from so3lab.datasets import Dataset
    from so3lab.potential import Potential
    from so3lab.training import EpochReport

DEFAULT_MINUTES = 5.0
GENTLE_LEARNING_RATE = 3e-4
"""Of a network that has learned already, which the rate for random weights would destroy."""


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        parents=[common],
        help="train a model",
        description="Train a SO3krates model. Checkpoints go to OUT.training; after a crash or Ctrl-C, the same "
        "command with --resume goes on where it was.",
        examples=[
            "so3lab train ethanol --out my.so3.safetensors --minutes 5",
            "so3lab train frames.extxyz --out my.so3.safetensors --train 900 --valid 50",
            "so3lab train mine.npz --energy-unit kcal/mol --out my.so3.safetensors",
            "so3lab train few.extxyz --start-from so3lr --batch-size 5 --epochs 40 \\",
            "       --out tuned.so3.safetensors",
        ],
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="model file to write, NAME.so3.safetensors"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    add_unit_argument(parser)
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
        f"is then {GENTLE_LEARNING_RATE:g} unless given, and --batch-size 5 is good for few frames (default: random "
        "weights)",
    )
    group.add_argument(
        "--trainable",
        choices=["all", "readout"],
        help="which weights learn: all (default) or the readout alone",
    )
    group.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="precision")


def _add_length(group: Any) -> None:
    length = group.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help=f"how long to train (default: {DEFAULT_MINUTES:g})")
    length.add_argument(
        "--epochs", type=int, metavar="N", help="passes over the data instead; reproducible bit for bit"
    )
    group.add_argument("--batch-size", type=int, metavar="N", help="structures per step (default: 10)")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="at its peak (default: 0.004)")
    group.add_argument(
        "--patience-epochs", type=int, metavar="N", help="stop without improvement for so many (default: never)"
    )
    group.add_argument("--seed", type=int, default=0, help="of split, weights and order")


def run(options: argparse.Namespace, console: Console) -> int:
    """Train, save, test."""
    from so3lab import datasets

    folder = options.out.with_name(options.out.name + ".training")
    _check(options, folder)
    prepare_process()
    data = load_data(options, console)
    counts = _counts(options, len(data))
    split = datasets.split(data, *counts, seed=options.seed, groups=options.groups)
    how = dict(zip(("train", "valid", "test"), counts, strict=True)) | {
        "seed": options.seed,
        "groups": options.groups,
        "test_frames": sorted(split.test.tolist()),
    }
    reports = _training(options, data.select(split.train), data.select(split.valid), folder)
    console.say(f"{data}: {len(split.train)} train, {len(split.valid)} valid, {len(split.test)} test")
    last, curve = _follow(reports, how, folder, options.out, console)
    if last is None:
        console.warn(f"the run in {folder} had already finished; give more --minutes or --epochs to a new one")
        return 0
    result = _results(last, curve, options.out)
    if len(split.test):
        result["test"] = _tested(last.best, data.select(split.test), console)
    _save(last, how, options.out, console)
    console.result(result)
    return 0


def _check(options: argparse.Namespace, folder: Path) -> None:
    """Refuse options that exclude each other, and files of another run."""
    for name in ("preset", "cutoff"):
        if options.start_from and getattr(options, name) is not None:
            raise ValueError(
                f"--{name} cannot be chosen with --start-from, whose model brings its own; leave one of them out"
            )
    if not options.out.name.endswith(".safetensors"):
        raise ValueError(f"--out must end in .so3.safetensors, got {options.out}")
    check_writable(options.out)
    if not options.resume and (options.out.exists() or folder.exists()):
        found = folder if folder.exists() else options.out
        raise FileExistsError(f"{found} exists; add --resume to go on with that run, or choose another --out")


def _training(
    options: argparse.Namespace, train_data: "Dataset", valid_data: "Dataset", folder: Path
) -> Generator["EpochReport"]:
    """The run that the options describe; it begins with the first report."""
    import so3lab
    from so3lab.network.settings import preset
    from so3lab.training import TrainingSettings, train

    model = preset(options.preset or "small", **({} if options.cutoff is None else {"cutoff": options.cutoff}))
    start = so3lab.load(options.start_from) if options.start_from else None
    minutes = options.minutes or (None if options.epochs else DEFAULT_MINUTES)
    given = {
        name: getattr(options, name)
        for name in ("batch_size", "learning_rate", "patience_epochs", "trainable")
        if getattr(options, name) is not None
    }
    if start is not None:
        given.setdefault("learning_rate", GENTLE_LEARNING_RATE)
    settings = TrainingSettings(epochs=options.epochs, minutes=minutes, seed=options.seed, **given)
    return train(train_data, valid_data, model, settings, start=start, checkpoint=folder, dtype=options.dtype)


def _follow(
    reports: Generator["EpochReport"], how: dict[str, Any], folder: Path, out: Path, console: Console
) -> tuple["EpochReport | None", list[dict[str, Any]]]:
    """Show progress to the end; the last report, and a row for each epoch. What stops early saves what there is."""
    last, curve = None, []
    try:
        with console.progress("training") as progress:
            progress.update(0.0, "compiling")
            for last in reports:
                curve.append(last.row())
                progress.update(last.progress, _note(last, console))
    except KeyboardInterrupt:
        reports.close()
        _save(last, how, out, console)
        raise Interrupted(f"interrupted; the same command with --resume goes on from {folder}") from None
    except FloatingPointError:
        _save(last, how, out, console)
        raise
    return last, curve


def _results(last: "EpochReport", curve: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    """What the command tells of a run, whose learning curve becomes a file beside the model."""
    import pandas as pd

    path = out.with_name(out.name + ".curve.csv")
    pd.DataFrame(curve).to_csv(path, index=False)
    return {
        "model": str(out),
        "epochs": last.epoch,
        "seconds": last.seconds,
        "learning_curve": str(path),
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
    if options.train is not None:
        return options.train, valid, options.test
    test = frames // 10 if options.test is None else options.test
    if frames - valid - test < 1:
        raise ValueError(f"--valid and --test leave no training frames of {frames}; ask for fewer")
    return frames - valid - test, valid, test


def _note(report: "EpochReport", console: Console) -> str:
    return f"epoch {report.epoch}  validation force MAE {force_error(report.valid_force_mae_meV_A, console.unit)}"


def _save(report: "EpochReport | None", how: dict[str, Any], path: Path, console: Console) -> None:
    """Write the best potential so far with the split it was trained on."""
    if report is not None:
        report.best.metadata["split"] = how
        report.best.save(path)
        console.say(f"saved {path}")
