"""How were the bundled reference sets made? ``python -m so3lab.labels.reference_sets NAME --out DIR`` makes one again.

Sampling is GFN2-xTB dynamics (:mod:`so3lab.labels.sampling`), labels come from :mod:`so3lab.labels`. Both
steps continue after a kill when the same ``--work`` folder is given.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.optimize import BFGS

from so3lab import labels
from so3lab.labels import methods, sampling
from so3lab.labels.sampling import Distortions, Run
from so3lab.observables.internal import Dihedral

SEED = 20240501
SAMPLING_ACCURACY = 1.0
"""tblite's accuracy while sampling; labels are converged a hundred times tighter."""


class Recipe(NamedTuple):
    """One bundled data set."""

    name: str
    title: str
    smiles: str
    level: str
    """Name in :data:`so3lab.labels.LEVELS`."""
    runs: Callable[[], list[Run]]
    start: tuple[tuple[Dihedral, float], ...] | None
    """Dihedrals of the minimum stored as the start structure; None for a set that supplements another."""
    distortions: Distortions = Distortions()
    highest_energy: float = 5.0
    """Distorted frames further above the lowest frame (eV) are left out: no dynamics meets them."""


VIOLENT = Distortions(share=0.5, stretch=0.25, closest=0.65, every_bond=True)
"""Of hot sets: what a model must have seen to hold at temperatures at which nobody would like to sample."""


LEVEL_NAMES = {
    "gfn2": "GFN2-xTB",
    "pbe": "PBE/def2-SVP, density fitting, grid level 3, energy converged to 1e-9 hartree, forces with grid response",
}
CITATIONS = {
    "gfn2": "C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019)",
    "pbe": "J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996); "
    "F. Weigend, R. Ahlrichs, Phys. Chem. Chem. Phys. 7, 3297 (2005)",
}
ENGINES = {"gfn2": "tblite", "pbe": "pyscf"}


def backbone(residue: int) -> tuple[Dihedral, Dihedral]:
    """Atoms of φ and ψ of an alanine (counted from 0) in ``CC(=O)N[C@@H](C)C(=O)…NC``."""
    carbon, nitrogen, alpha, carbonyl, next_nitrogen = (5 * residue + i for i in (1, 3, 4, 6, 8))
    return (carbon, nitrogen, alpha, carbonyl), (nitrogen, alpha, carbonyl, next_nitrogen)


def _angles(*phi_psi: tuple[float, float]) -> tuple[tuple[Dihedral, float], ...]:
    """Dihedrals of consecutive alanines."""
    return tuple(
        (atoms, angle)
        for residue, angles in enumerate(phi_psi)
        for atoms, angle in zip(backbone(residue), angles, strict=True)
    )


def ethanol_runs() -> list[Run]:
    """Twelve trajectories at 500 K: four from the trans well and four from each gauche well."""
    hydroxyl = (0, 1, 2, 8)
    wells = (180.0, 60.0, -60.0) * 4
    return [Run("md", SEED + k, 97, 500.0, 160.0, 500.0, ((hydroxyl, angle),)) for k, angle in enumerate(wells)]


def ethanol_hot_runs() -> list[Run]:
    """Twelve short trajectories at 1,000 and 1,500 K, from all three wells."""
    return [
        run._replace(seed=SEED + 500 + k, frames=6, temperature_K=(1000.0, 1500.0)[k % 2])
        for k, run in enumerate(ethanol_runs())
    ]


ALA2_BASINS = {"C7eq": (-82.0, 74.0), "C5": (-142.0, 163.0), "C7ax": (72.0, -62.0), "alphaP": (-170.0, -51.0)}


def ala2_runs() -> list[Run]:
    """Hot trajectories from the known basins, a 30° grid of φ and ψ, and cis amides."""
    basins = ALA2_BASINS
    hot = itertools.product((500.0, 600.0), (0, 1), basins.values())
    runs = [
        Run("md", SEED + k, 110, temperature, 100.0, 500.0, _angles(start))
        for k, (temperature, _, start) in enumerate(hot)
    ]
    grid = itertools.product(range(-180, 180, 30), repeat=2)
    runs += [
        Run("swept", SEED + 100 + k, 9, (300.0, 450.0, 600.0)[k % 3], 40.0, 0.0, _angles((phi, psi)))
        for k, (phi, psi) in enumerate(grid)
    ]
    amides: tuple[Dihedral, Dihedral] = ((0, 1, 3, 4), (4, 6, 8, 9))
    cis = itertools.product(amides, (basins["C7eq"], basins["C5"], (-73.0, -26.0)))
    runs += [
        Run("cis", SEED + 300 + k, 25, 500.0, 80.0, 200.0, ((amide, 0.0), *_angles(start)))
        for k, (amide, start) in enumerate(cis)
    ]
    return runs


def ala2_hot_runs() -> list[Run]:
    """Short trajectories at 800 and 1,200 K from the known basins."""
    hot = itertools.product((800.0, 1200.0), ALA2_BASINS.values())
    return [
        Run("md", SEED + 500 + k, 25, temperature, 100.0, 500.0, _angles(start))
        for k, (temperature, start) in enumerate(hot)
    ]


def ala3_runs() -> list[Run]:
    """Trajectories from helices, extended strands, turns, C7 rings, and random embeddings."""
    starts = [
        _angles(*[(-60.0, -45.0)] * 3),  # right-handed alpha helix
        _angles(*[(-50.0, -28.0)] * 3),  # 3-10 helix
        _angles(*[(57.0, 47.0)] * 3),  # left-handed helix
        _angles(*[(-140.0, 150.0)] * 3),  # extended strand
        _angles(*[(-75.0, 145.0)] * 3),  # polyproline II
        _angles(*[(-82.0, 74.0)] * 3),  # chain of C7 rings
        _angles((-60.0, -30.0), (-90.0, 0.0), (-120.0, 130.0)),  # beta turn I, hairpin
        _angles((-60.0, 120.0), (80.0, 0.0), (-120.0, 130.0)),  # beta turn II, hairpin
        _angles((72.0, -62.0), (-82.0, 74.0), (72.0, -62.0)),  # C7ax and C7eq rings
        _angles((-82.0, 74.0), (72.0, -62.0), (-142.0, 163.0)),
        *[()] * 6,  # random embeddings
    ]
    return [
        Run("md", SEED + k, 130, (500.0, 500.0, 500.0, 600.0)[k % 4], 60.0, 200.0, start, 20.0)
        for k, start in enumerate(starts)
    ]


def ala3_hot_runs() -> list[Run]:
    """Short trajectories at 800 and 1,200 K from the same folds."""
    return [
        run._replace(seed=SEED + 500 + k, frames=25, temperature_K=(800.0, 1200.0)[k % 2])
        for k, run in enumerate(ala3_runs())
    ]


def _supplement(recipe: Recipe, runs: Callable[[], list[Run]]) -> Recipe:
    """A set of hot and violently distorted frames, to be learned from beside the set of a recipe."""
    return recipe._replace(name=f"{recipe.name}-hot", runs=runs, start=None, distortions=VIOLENT, highest_energy=8.0)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("ethanol", "ethanol", "CCO", "pbe", ethanol_runs, (((0, 1, 2, 8), 180.0),)),
        Recipe(
            "ala2",
            "alanine dipeptide, Ac-Ala-NHMe",
            "CC(=O)N[C@@H](C)C(=O)NC",
            "gfn2",
            ala2_runs,
            _angles((-82.0, 74.0)),
        ),
        Recipe(
            "ala3",
            "Ac-Ala3-NHMe",
            "CC(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)NC",
            "gfn2",
            ala3_runs,
            _angles(*[(-82.0, 74.0)] * 3),
        ),
    )
}
RECIPES |= {
    f"{name}-hot": _supplement(RECIPES[name], runs)
    for name, runs in (("ethanol", ethanol_hot_runs), ("ala2", ala2_hot_runs), ("ala3", ala3_hot_runs))
}


class Samples(NamedTuple):
    """Frames before labelling."""

    positions: np.ndarray
    """(frames, atoms, 3), Å."""
    origin: np.ndarray
    """(frames,), ``"md"``, ``"swept"``, ``"cis"`` or ``"distorted"``."""
    trajectory: np.ndarray
    """(frames,), index of the run; -1 for distorted frames."""
    dropped: int


def make(name: str, out: Path, work: Path, processes: int) -> Iterator[str]:
    """Sample, label and store one set; yields lines that say what is going on."""
    recipe = RECIPES[name]
    work.mkdir(parents=True, exist_ok=True)
    yield from _sample_runs(recipe, work)
    samples = _collect(recipe, work)
    frames = [Atoms(sampling.molecule(recipe.smiles).atomic_numbers, r) for r in samples.positions]
    journal = work / f"{name}_labels.jsonl"
    for step in labels.label(frames, recipe.level, journal, processes=processes):
        if step.failure or step.done % 50 == 0 or step.done == step.total:
            left = "" if step.remaining_s is None else f", {step.remaining_s / 60:.1f} min left"
            yield f"labelled {step.done}/{step.total}, {step.failed} failed{left}" + (
                f"; frame {step.frame}: {step.failure}" if step.failure else ""
            )
    out.mkdir(parents=True, exist_ok=True)
    yield from _store(recipe, samples, frames, labels.read_labels(journal), out)
    if recipe.start is not None:
        _write_start(recipe, recipe.start, out)
    _write_checksums(out, name)
    yield f"wrote {name} in {out}"


def _sample_runs(recipe: Recipe, work: Path) -> Iterator[str]:
    """Sample every run that an earlier call has not finished."""
    molecule = sampling.molecule(recipe.smiles)
    runs = recipe.runs()
    for k, run in enumerate(runs):
        file = work / f"{recipe.name}_run{k:03d}.npz"
        if file.exists():
            continue
        # a new calculator for each run: the result must not depend on what ran before
        sampled = sampling.sample(molecule, run, methods.gfn2(SAMPLING_ACCURACY))
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, positions=sampled.positions, dropped=sampled.dropped)
        partial.replace(file)
        yield f"sampled run {k + 1}/{len(runs)}: {len(sampled.positions)} frames, {sampled.dropped} dropped"


def _collect(recipe: Recipe, work: Path) -> Samples:
    """All runs of a recipe, with distorted frames added at the end."""
    runs = recipe.runs()
    files = [np.load(work / f"{recipe.name}_run{k:03d}.npz") for k in range(len(runs))]
    positions = np.concatenate([file["positions"] for file in files])
    sizes = [len(file["positions"]) for file in files]
    extra = sampling.distorted(sampling.molecule(recipe.smiles), positions, recipe.distortions, SEED)
    origin = np.repeat([run.origin for run in runs] + ["distorted"], [*sizes, len(extra)])
    trajectory = np.repeat([*range(len(runs)), -1], [*sizes, len(extra)]).astype(np.int16)
    dropped = sum(int(file["dropped"]) for file in files)
    return Samples(np.concatenate([positions, extra]), origin, trajectory, dropped)


def _store(recipe: Recipe, samples: Samples, frames: list[Atoms], done: labels.Labels, out: Path) -> Iterator[str]:
    """Write the npz file and report what is in it."""
    low = done.energies < done.energies.min() + recipe.highest_energy
    kept = np.array(done.indices)[low]
    energies, forces = done.energies[low], np.array(done.forces)[low]
    positions = samples.positions[kept].astype(np.float32)
    assert (positions == samples.positions[kept]).all()  # stored positions are the labelled ones
    origin, trajectory = samples.origin[kept], samples.trajectory[kept]
    balance = [labels.net_force_and_torque(frames[i].positions, f) for i, f in zip(kept, forces, strict=True)]
    names, counts = np.unique(origin, return_counts=True)
    md = origin == "md"
    meta = _provenance(recipe) | {
        "frames": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "failed": len(done.failures),
        "dropped_broken_bonds": samples.dropped,
        "dropped_high_energy": int((~low).sum()),
        "energy_autocorrelation_lag1_md": round(sampling.energy_autocorrelation(energies[md], trajectory[md]), 4),
        "largest_net_force_eV_per_angstrom": float(np.max(balance, axis=0)[0]),
        "largest_net_torque_eV": float(np.max(balance, axis=0)[1]),
    }
    np.savez_compressed(
        out / f"{recipe.name}.npz",
        z=frames[0].numbers.astype(np.int8),
        R=positions,
        E=energies,
        F=forces.astype(np.float32),
        origin=origin,
        trajectory=trajectory,
        energy_unit="eV",
        length_unit="angstrom",
        meta=json.dumps(meta),
    )
    yield json.dumps(meta, indent=1)


def _provenance(recipe: Recipe) -> dict[str, Any]:
    """Where the numbers of a set come from."""
    engines = dict.fromkeys([ENGINES[recipe.level], "tblite", "ase", "rdkit", "numpy"])
    return {
        "name": recipe.name,
        "molecule": recipe.title,
        "smiles": recipe.smiles,
        "level_of_theory": LEVEL_NAMES[recipe.level],
        "engine": f"{ENGINES[recipe.level]} {importlib.metadata.version(ENGINES[recipe.level])}",
        "versions": {engine: importlib.metadata.version(engine) for engine in engines},
        "sampling": "GFN2-xTB Langevin dynamics, see so3lab.labels.sampling",
        "source": "computed by the so3lab developers with so3lab.labels.reference_sets",
        "command": f"python -m so3lab.labels.reference_sets {recipe.name} --out data",
        "seed": SEED,
        "date": datetime.date.today().isoformat(),
        "licence": "CC0-1.0",
        "citation": CITATIONS[recipe.level],
    }


def _write_start(recipe: Recipe, dihedrals: tuple[tuple[Dihedral, float], ...], out: Path) -> None:
    """Store a minimum at the level of theory of the set."""
    atoms = sampling.conformer(sampling.molecule(recipe.smiles), SEED, dihedrals)
    for level, fmax in (("gfn2", 1e-3), (recipe.level, 1e-3)):
        atoms.calc = labels.LEVELS[level]()
        BFGS(atoms, logfile=None).run(fmax=fmax, steps=1000)
    relaxed = Atoms(atoms.numbers, sampling.representable(atoms.positions))
    relaxed.calc = labels.LEVELS[recipe.level]()
    energy, forces = relaxed.get_potential_energy(), relaxed.get_forces()
    relaxed.calc = SinglePointCalculator(relaxed, energy=energy, forces=forces)
    relaxed.info["level_of_theory"] = LEVEL_NAMES[recipe.level]
    write(out / f"{recipe.name}.xyz", relaxed, format="extxyz")


def _write_checksums(out: Path, name: str) -> None:
    """Add the SHA-256 of the files of a set to checksums.json."""
    file = out / "checksums.json"
    sums = json.loads(file.read_text()) if file.exists() else {}
    for path in filter(Path.is_file, (out / f"{name}.npz", out / f"{name}.xyz")):
        sums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    file.write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Command line of the recipes."""
    parser = argparse.ArgumentParser(prog="python -m so3lab.labels.reference_sets", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES), help="which data set to make")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--work", type=Path, help="folder of unfinished work (default: OUT/work)")
    parser.add_argument("--processes", type=int, default=1, help="processes that compute labels")
    arguments = parser.parse_args()
    work = arguments.work or arguments.out / "work"
    for line in make(arguments.name, arguments.out, work, arguments.processes):
        print(line, flush=True)


if __name__ == "__main__":
    main()
