"""``so3lab minima landscape``: how the minima of a database hang together."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from so3lab import units
from so3lab.app.console import Console
from so3lab.app.minima_choice import add_novelty, require_file, rule_of
from so3lab.app.minima_search import add_rule
from so3lab.app.minima_stream import budget_share, follow
from so3lab.counting import counted
from so3lab.doctor.prepare import prepare_process
from so3lab.machine.files import check_writable
from so3lab.minima.connecting import without_password

if TYPE_CHECKING:
    from so3lab.engine.energy_model import EnergyModel
    from so3lab.landscape import Exploration, Landscape
    from so3lab.landscape.network import Standing
    from so3lab.minima.database import StoredSearch
    from so3lab.potential import Potential

ROWS_SHOWN = 40
"""Of tables, the lowest."""
REDUCED = "lj"
"""Name of the model whose energies are in units of ε, and temperatures in ε/k."""


def add_command(inner: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to its group."""
    parser = inner.add_parser(
        "landscape",
        parents=[common],
        help="transition states between the minima, barriers, populations and rates",
        description="Search for transition states beside and between the minima of a database, and keep them there, "
        "with minima that are found on the way. It ends when the minima are connected and about 98 % of the transition "
        "states (of molecules 90 %) are estimated to have been found, or when a budget is used up. The same command "
        "goes on where it was.",
        examples=[
            "so3lab minima landscape alanine.db --out alanine.html --training ala2",
            "so3lab minima landscape alanine.db --minutes 5 --window-kcal-mol 3",
        ],
    )
    parser.add_argument("file", metavar="FILE", help="a database of minima (.db file or URL)")
    parser.add_argument(
        "--model", help="that the minima were searched with (default: lj, or the bundled model that they are of)"
    )
    parser.add_argument(
        "--dtype", choices=["float32", "float64"], default="float32", help="precision (default: float32)"
    )
    parser.add_argument("--minutes", type=float, help="budget of time")
    parser.add_argument("--saddles", type=int, help="budget of transition states, found in all")
    parser.add_argument("--saturation", type=float, help="share of them estimated to have been found, such as 0.9")
    parser.add_argument(
        "--window-kcal-mol", type=float, dest="window_kcal_mol", metavar="E",
        help="only minima so little above the lowest are left in search of transition states; a wider window goes on "
        "with the same landscape (default: 5; of lj all are)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of all chances (default: 0)")
    parser.add_argument("--fmax", type=float, help="largest force of a saddle (default: as the search had it)")
    parser.add_argument(
        "--temperature-K", type=float, default=None, dest="temperature_K",
        help="of populations and rates (default: 298.15; of lj 0.1, in ε/k)",
    )  # fmt: skip
    parser.add_argument("--classical", action="store_true", help="without zero-point energies, as lj is in any case")
    parser.add_argument("--out", type=Path, help="a page with maps, tree and molecules, one .html file")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--training", metavar="SET", help="frames that the model has learnt from, a name or a file: which minima lie "
        "beyond them",
    )  # fmt: skip
    add_rule(parser, *["as searched"] * 3)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Explore with progress, then say what came out."""
    _check(options)
    prepare_process()
    from so3lab import datasets
    from so3lab.landscape import Exploration, LandscapeDatabase, TrainingConformations

    database = LandscapeDatabase(options.file)
    database.check_writable()
    searches = database.searches()
    stored = database.find(searches[0]) if searches else None
    if stored is None:
        raise ValueError(f"{without_password(options.file)} holds no minima; so3lab minima search finds some")
    name, potential = _model(options, stored)
    if name == REDUCED and options.window_kcal_mol is not None:
        raise ValueError(f"--window-kcal-mol is for molecules; all minima of {REDUCED} are left")
    training = None if options.training is None else datasets.load(options.training, check=False)
    minimiser = stored.settings["minimiser"]
    exploration = Exploration(
        potential, database, rule=rule_of(options, database), seed=options.seed,
        window=None if options.window_kcal_mol is None else options.window_kcal_mol * units.kcal_per_mol,
        max_force=minimiser["max_force"] if options.fmax is None else options.fmax,
        max_gain_meV=minimiser["max_gain_meV"], steps_per_hessian=1 if name == REDUCED else None,
    )  # fmt: skip
    if training is not None:
        try:
            TrainingConformations(training, exploration.minima[0].atoms)
        except ValueError as error:  # of another compound
            raise ValueError(f"--training: {error}") from None
    _explore(options, console, exploration)
    from so3lab.landscape import Landscape

    landscape = Landscape.read(database, exploration.rule)
    if options.out is not None:
        from so3lab_widgets.landscape_page import write_landscape_page

        how: dict[str, Any] = {"energy_unit": "ε"} if name == REDUCED else {"model_name": name}
        how |= {"training": training, "told_at_K": _kelvin(options, name == REDUCED), "classical": options.classical}
        console.say(f"page: {write_landscape_page(landscape, options.out, **how)}")
    _tell(options, console, exploration, landscape, name == REDUCED)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse files and numbers before anything is computed."""
    from so3lab.minima.search import check_budget

    require_file(options.file)
    for name in ("fmax", "temperature_K", "window_kcal_mol"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value:g}")
    check_budget(options.saturation, **{"--minutes": options.minutes, "--saddles": options.saddles})
    if options.out is None:
        return
    if options.out.suffix != ".html":
        raise ValueError(f"--out must be a page whose name ends in .html, got {options.out}")
    if options.out.exists() and not options.overwrite:
        raise FileExistsError(f"{options.out} exists; add --overwrite to replace it")
    check_writable(options.out)


def _model(options: argparse.Namespace, stored: "StoredSearch") -> "tuple[str, Potential | EnergyModel]":
    """The model whose minima these are, with its name."""
    import so3lab
    from so3lab.minima.search import checksum_of
    from so3lab.pretrained import lennard_jones
    from so3lab.pretrained.loading import bundled_models

    wanted = stored.settings["model"]
    if options.model not in (None, REDUCED):
        return options.model, so3lab.load(options.model, options.dtype)
    if checksum_of(lennard_jones()) == wanted:
        return REDUCED, lennard_jones()
    for name in bundled_models() if options.model is None else ():
        potential = so3lab.load(name, options.dtype)
        if potential.checksum == wanted:
            return name, potential
    raise ValueError(
        f"minima in {without_password(options.file)} are of no model that is known by itself; name the one that they "
        "were searched with: --model MODEL"
    )


def _explore(options: argparse.Namespace, console: Console, exploration: "Exploration") -> None:
    budget = {name: getattr(options, name) for name in ("minutes", "saddles", "saturation")}

    def share(minutes: float) -> float:
        used = budget_share(budget, minutes=minutes, saddles=len(exploration.saddles))
        return min(0.99, max(used, exploration.share_done))

    follow(
        console, "exploring", exploration.run(**budget), share, lambda _: _note(exploration),
        lambda: f"interrupted with {counted(len(exploration.saddles), 'transition state')} in "
        f"{without_password(options.file)}; the same command goes on",
    )  # fmt: skip


def _note(exploration: "Exploration") -> str:
    return (
        f"{counted(len(exploration.minima), 'minimum')}, {counted(len(exploration.saddles), 'transition state')}, "
        f"about {exploration.unseen:.0f} unseen"
    )


def _tell(
    options: argparse.Namespace, console: Console, exploration: "Exploration", landscape: "Landscape", reduced: bool
) -> None:
    kelvin = _kelvin(options, reduced)
    temperature = kelvin * units.kB if reduced else kelvin
    minima, saddles = _rows(landscape, kelvin, reduced, reduced or options.classical)
    if options.training is not None:
        add_novelty(minima, landscape.minima, options.training, console)
    scale = f"{temperature:g} {'ε/k' if reduced else 'K'}"
    _print(console, minima, f"minima, at {scale}", reduced)
    _print(console, saddles, f"transition states, at {scale}", reduced)
    counts = Counter(landscape.standings)
    console.line(f"{without_password(options.file)}: {_note(exploration)}")
    console.line(_hang_together(exploration, counts))
    if left := exploration.left_to_do:
        console.line(f"not done yet: {left}; the same command goes on")
    if any(one is None for one in landscape.vibrations):
        console.warn("populations need vibrations of all minima, which come last; the same command goes on")
    console.result(
        {
            "file": without_password(options.file),
            "minima": len(landscape.minima),
            "transition_states": len(landscape.transition_states),
            "connected": exploration.connected,
            "standings": {"connected": counts["connected"], "apart": counts["apart"], "not tried": counts["not tried"]},
            "groups": len(landscape.components),
            "left_to_do": exploration.left_to_do,
            "searches": exploration.searches,
            "unseen": exploration.unseen,
            "saturation": exploration.saturation,
            "temperature": temperature,
            "lowest_energy_eV": landscape.minima[0].energy,
            "minima_table": minima,
            "transition_states_table": saddles,
        }
    )


def _hang_together(exploration: "Exploration", counts: "Counter[Standing]") -> str:
    """Which minima are connected, in words."""
    if set(counts) == {"connected"}:
        return "all minima are connected"
    window = exploration.window
    within = "" if window is None else f" (only those within {window / units.kcal_per_mol:g} kcal/mol are left)"
    notes: dict[Standing, str] = {"connected": "", "apart": " (no way from them is known yet)", "not tried": within}
    told = [f"{counts[standing]} {standing}{note}" for standing, note in notes.items() if counts[standing]]
    return "minima: " + ", ".join(told)


def _kelvin(options: argparse.Namespace, reduced: bool) -> float:
    """The temperature of populations and rates, K."""
    given = options.temperature_K
    if reduced:
        return (0.1 if given is None else given) / units.kB
    return 298.15 if given is None else given


def _rows(landscape: "Landscape", kelvin: float, reduced: bool, classical: bool) -> tuple[list[dict], list[dict]]:
    """Tables of minima and of transition states."""
    at = np.array([kelvin])
    how: dict[str, Any] = {"quantum": not classical} | ({"lowest_cm": 0.0} if reduced else {})
    known = all(one is not None for one in landscape.vibrations)
    shares = landscape.populations(at, **how)[0] if known else [None] * len(landscape.minima)
    rates = landscape.rates(at, **how)[0] if known and landscape.transition_states and not reduced else None
    lowest, group = landscape.minima[0].energy, landscape.components[0]
    minima = [
        {
            "number": one.number,
            "energy_eV": one.energy,
            "above_lowest_eV": one.energy - lowest,
            "barrier_from_lowest_eV": _barrier(landscape, group, 0, one.number),
            "barrier_back_eV": _barrier(landscape, group, one.number, 0),
            "symmetry_order": None if modes is None else modes.symmetry_order,
            "population": share,
            "standing": standing,
        }
        for one, modes, share, standing in zip(
            landscape.minima, landscape.vibrations, shares, landscape.standings, strict=True
        )
    ]
    saddles = [
        {
            "number": one.number,
            "energy_eV": one.energy,
            "above_lowest_eV": one.energy - lowest,
            "minima": list(one.minima),
            "imaginary_frequency_cm": one.imaginary_frequency_cm,
            "visits": one.visits,
            "origin": one.origin,
            "rates_per_s": None if rates is None else rates[one.number].tolist(),
        }
        for one in landscape.transition_states
    ]
    return minima, saddles


def _print(console: Console, rows: list[dict], title: str, reduced: bool) -> None:
    import pandas as pd

    if rows:
        shown = pd.DataFrame(rows[:ROWS_SHOWN]).dropna(axis=1, how="all")
        shown["energy_eV"] = [f"{row['energy_eV']:.6f}" for row in rows[:ROWS_SHOWN]]
        for name in ("minima", "rates_per_s"):
            if name in shown:
                shown[name] = [", ".join(f"{value:.3g}" for value in values) for values in shown[name]]
        names = {name: name.replace("_eV", " ε" if reduced else " eV").replace("_", " ") for name in shown.columns}
        console.table(shown.rename(columns=names), title)


def _barrier(landscape: "Landscape", group: set[int], first: int, second: int) -> float | None:
    """Within the group of the lowest minimum; None where there is no way, or none to go."""
    if first == second or not {first, second} <= group:
        return None
    return landscape.barrier(first, second)
