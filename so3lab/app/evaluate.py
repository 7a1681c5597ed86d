"""``so3lab evaluate``: how well a model reproduces labelled frames."""

import argparse
import warnings
from pathlib import Path

from so3lab.app.console import Console
from so3lab.app.inputs import add_data_arguments, add_model_argument, load_data
from so3lab.app.tables import add_unit_argument
from so3lab.counting import counted
from so3lab.doctor.prepare import prepare_process
from so3lab.machine.files import check_folder


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        parents=[common],
        help="errors of a model on labelled frames",
        description="Energy and force MAE and RMSE in total, per element and per structure, on frames that the model "
        "was not trained on.",
        examples=[
            "so3lab evaluate ethanol ethanol",
            "so3lab evaluate my.so3.safetensors test.extxyz --unit kcal/mol --out errors",
        ],
    )
    add_model_argument(parser)
    add_data_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("."), metavar="FOLDER", help="for the CSV files (default: here)"
    )
    add_unit_argument(parser)
    parser.add_argument(
        "--trained-on-too",
        action="store_true",
        help="evaluate frames that the model was trained on, too (default: the others, where there are any)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Evaluate and write tables."""
    import so3lab
    from so3lab.training import TrainedOnWarning, evaluate

    check_folder(options.out)
    prepare_process()
    potential = so3lab.load(options.model)
    data = load_data(options, console)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainedOnWarning)  # said below
        found = evaluate(potential, data, trained_on_too=options.trained_on_too)
    if found.note:
        console.warn(f"{options.model}: {found.note}")
    options.out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("summary", "elements", "structures"):
        files[name] = options.out / f"evaluation_{name}.csv"
        getattr(found, name).to_csv(files[name], index=False)
    console.table(found.summary, f"{options.model} on {counted(len(found.structures), 'frame')} of {data.name}")
    console.table(found.elements, "forces by element")
    console.line("written: " + ", ".join(str(path) for path in files.values()))
    console.result(
        {
            "summary": found.summary,
            "elements": found.elements,
            "files": files,
            "frames": len(found.structures),
            "note": found.note,
        }
    )
    return 0
