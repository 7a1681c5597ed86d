"""The arguments of ``so3lab md``, and the simulations that they describe."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from so3lab.app import md_values
from so3lab.app.console import Console
from so3lab.app.inputs import add_model_argument, add_structure_arguments, load_structure
from so3lab.cluster import RunSpec
from so3lab.dynamics.ensembles import ENSEMBLES, ensembles_with

_KNOBS = ("friction_per_ps", "thermostat_fs", "pressure_GPa", "barostat_fs", "compressibility_per_GPa")
"""Knobs that some ensembles have."""
_LIMITS = {name: f"limit_{name}" for name in ("bond_stretch", "energy_jump", "heat", "cell_width")}
"""Limits and where argparse puts them."""


def add_system_arguments(parser: argparse.ArgumentParser) -> None:
    """What moves and by which equations: arguments that ``md`` shares with ``bench-md``."""
    add_model_argument(parser)
    add_structure_arguments(parser)
    parser.add_argument(
        "--ensemble",
        default="langevin",
        choices=tuple(ENSEMBLES),
        help="constant energy; thermostats of Langevin, Nosé and Hoover, Bussi (csvr); barostats, for cells",
    )
    parser.add_argument("--temperature-K", type=float, dest="temperature_K", metavar="K", help="(default: 300)")
    parser.add_argument("--timestep-fs", type=float, default=0.5, metavar="FS", help="time step")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All arguments of ``md`` about the simulation itself."""
    add_system_arguments(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="H5MD file to write; a folder for replicas"
    )
    parser.add_argument("--steps", required=True, type=int, metavar="N", help="how many time steps")
    parser.add_argument("--interval", type=int, default=20, metavar="N", help="steps between frames")
    parser.add_argument("--seed", type=int, default=0, help="of velocities and thermostat")
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT, if there is one")
    _add_bath(parser.add_argument_group("thermostat and barostat"))
    _add_forces(
        parser.add_argument_group("atoms held, restraints and pulls", "Atoms are counted from 0, as in export.")
    )
    _add_limits(parser.add_argument_group("when the structure counts as blown up"))


def _add_bath(group: Any) -> None:
    group.add_argument("--friction-per-ps", type=float, metavar="RATE", help="of langevin (default: 2)")
    group.add_argument("--thermostat-fs", type=float, metavar="FS", help="relaxation time of the others (default: 100)")
    group.add_argument("--pressure-GPa", type=float, dest="pressure_GPa", metavar="P", help="(default: one atmosphere)")
    group.add_argument(
        "--barostat-fs", type=float, metavar="FS", help="relaxation time of the barostat (default: 1000)"
    )
    group.add_argument(
        "--compressibility-per-GPa",
        type=float,
        dest="compressibility_per_GPa",
        metavar="X",
        help="an estimate; a wrong one makes the barostat slower or faster, not wrong (default: 0.45, water)",
    )
    group.add_argument(
        "--anneal",
        metavar="PS:K,...",
        help="times in ps and temperatures in K, straight lines between them, instead of --temperature-K: "
        "0:300,10:1000,50:100",
    )


def _add_forces(group: Any) -> None:
    group.add_argument("--hold", metavar="ATOMS", help="atoms that stay where they are: heavy, or such as 0:10,12")
    group.add_argument(
        "--restrain",
        action="append",
        default=[],
        metavar="ATOMS=CENTRE:STRENGTH",
        help="a spring on the distance of two atoms (Å, eV/Å²), the angle of three or the dihedral of four (degrees, "
        "eV/rad²): 0,1=1.5:20 or 1,2,3,4=180:0.5; may be given several times",
    )
    group.add_argument(
        "--pull",
        action="append",
        default=[],
        metavar="ATOMS=FORCE",
        help="a constant force in eV/Å that pulls two atoms apart (1,5=0.1), or acts on one (3=0,0,0.1); may be "
        "given several times",
    )
    group.add_argument(
        "--sphere",
        metavar="RADIUS[:STRENGTH]",
        help="a soft wall in Å around the centre of mass, of 1 eV/Å² unless given",
    )


def _add_limits(group: Any) -> None:
    group.add_argument(
        "--limit-bond-stretch", metavar="A", help="Å by which a bond may change its length, or none (default: 1)"
    )
    group.add_argument("--limit-energy-jump", metavar="EV", help="eV per atom in one step, or none (default: 0.5)")
    group.add_argument(
        "--limit-heat",
        metavar="TIMES",
        help="how many times that of the thermostat the kinetic energy may be, or none (default: 10)",
    )
    group.add_argument(
        "--limit-cell-width",
        metavar="TIMES",
        help="how many times the cutoff of the model a cell must at least measure across, or none (default: 1)",
    )
    group.add_argument("--no-limits", action="store_true", help="go on as long as numbers are finite")


def run_of(options: argparse.Namespace, console: Console) -> RunSpec:
    """The simulation that the arguments describe.

    Raises:
        ValueError: If an argument is malformed, or has no meaning beside another one.
    """
    _refuse_what_would_do_nothing(options)
    atoms = load_structure(options, console)
    if options.hold is not None:
        atoms = md_values.with_held_atoms(atoms, options.hold)
    knobs = {name: getattr(options, name) for name in _KNOBS if getattr(options, name) is not None}
    friction_per_ps = knobs.pop("friction_per_ps", 2.0)
    temperature_K = 300.0 if options.temperature_K is None else options.temperature_K
    if not options.timestep_fs > 0:
        raise ValueError(f"timestep_fs must be a positive number, got {options.timestep_fs}")
    if options.anneal is not None:
        knobs["ramp"] = md_values.ramp_of(options.anneal, options.timestep_fs)
        temperature_K = knobs["ramp"][0][1]
    biases = [
        *(md_values.restraint_of(text, len(atoms)) for text in options.restrain),
        *(md_values.pull_of(text, len(atoms)) for text in options.pull),
        *([] if options.sphere is None else [md_values.sphere_of(options.sphere)]),
    ]
    if biases:
        knobs["biases"] = tuple(biases)
    return RunSpec(
        options.model, atoms, options.out, options.steps, options.ensemble, temperature_K, options.timestep_fs,
        friction_per_ps, options.interval, options.seed, options.dtype, knobs, _limits(options),
    )  # fmt: skip


def check_timestep_of(run: RunSpec, console: Console) -> None:
    """Refuse a time step that the fastest bond cannot follow, and say what would be a good one where it is long."""
    from so3lab.dynamics.fastest_vibration import check_timestep, long_timestep
    from so3lab.dynamics.limits import Limits

    if (run.limits or Limits()).any:
        check_timestep(run.atoms(), run.timestep_fs)
    if words := long_timestep(run.atoms(), run.timestep_fs):
        console.warn(words)


def one_of(words: Sequence[str]) -> str:
    """Words as people list them."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _refuse_what_would_do_nothing(options: argparse.Namespace) -> None:
    for name in _KNOBS:
        ensembles = ensembles_with(name)
        if getattr(options, name) is not None and options.ensemble not in ensembles:
            raise ValueError(
                f"--{name.replace('_', '-')} belongs to --ensemble {one_of(ensembles)}, "
                f"got --ensemble {options.ensemble}; leave it out"
            )
    if options.anneal is None:
        return
    if options.ensemble == "nve":
        raise ValueError("--anneal needs a thermostat, got --ensemble nve; choose langevin or csvr")
    given = [
        name for name in ("temperature_K", "temperatures_K", "exchange_every") if getattr(options, name) is not None
    ]
    if given:
        raise ValueError(
            f"--anneal sets the temperature, so --{given[0].replace('_', '-')} must be left out; "
            "its first corner is the temperature of the start"
        )


def _limits(options: argparse.Namespace):
    """None where nothing was said about limits."""
    given = {limit: getattr(options, name) for limit, name in _LIMITS.items() if getattr(options, name) is not None}
    if not given and not options.no_limits:
        return None
    if given and options.no_limits:
        name = _LIMITS[next(iter(given))].replace("_", "-")
        raise ValueError(f"--no-limits switches all limits off, so --{name} must be left out")
    from so3lab.dynamics.limits import Limits

    if options.no_limits:
        return Limits(**dict.fromkeys(_LIMITS, None))
    values = {limit: md_values.limit_of(f"--{_LIMITS[limit].replace('_', '-')}", text) for limit, text in given.items()}
    return Limits(**values)
