"""From structures that somebody has found to a set that a model learns from: those that get a label."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from so3lab.datasets import Dataset, from_atoms
from so3lab.labels.labelling import label, labelled_frames, read_labels
from so3lab.labels.methods import method_of


def labelled_set(
    frames: Sequence[Atoms],
    level: str | Callable[[], Any],
    journal: str | os.PathLike,
    *,
    name: str | None = None,
    **options: Any,
) -> Dataset:
    """Label structures, and give those that got a label as a set: what a model does not know yet, to be learned.

    Frames of dynamics or minima become a better model in two lines::

        found = so3lab.labels.labelled_set(frames, "gfn2", "found.jsonl")
        tuned = list(so3lab.training.train(found, valid, model.settings, settings, start=model))[-1].best

    Args:
        frames: Structures; their own calculators are ignored.
        level: As for :func:`so3lab.labels.label`.
        journal: Keeps what has been computed; calling again with the same frames computes only what is missing.
        name: Of the set; that of the journal's file unless given.
        **options: Of :func:`so3lab.labels.label`: ``processes``, ``executor``, ``retry_failed``.

    Raises:
        ValueError: If no frame gets a label, with the reason of the first; or as :func:`so3lab.labels.label` does.
    """
    frames = list(frames)
    if not frames:
        raise ValueError("frames must be at least one structure, got none")
    for _ in label(frames, level, journal, **options):
        pass
    labelled = labelled_frames(frames, journal)
    if not labelled:
        number, reason = next(iter(read_labels(journal).failures.items()))
        raise ValueError(f"none of the {len(frames)} frames got a label; frame {number}: {reason}")
    about = {"level_of_theory": method_of(level)[0], "labelled_frames": len(labelled), "found_frames": len(frames)}
    return from_atoms(labelled, name or Path(journal).stem, meta=about)
