"""Which frames are molecules that a program drew an empty box around?"""

from dataclasses import replace

import numpy as np

from so3lab.datasets.dataset import Dataset
from so3lab.structures.boxes import is_empty_box, without_box


def without_empty_boxes(dataset: Dataset) -> Dataset:
    """The same set with molecules in place of molecules in empty boxes (:func:`so3lab.structures.boxes.is_empty_box`).

    Returns:
        The set itself where no box is empty; otherwise one whose ``meta["cells"]`` says how many were.
    """
    if dataset.cells is None or not dataset.pbc.any():
        return dataset
    frames = {number: dataset[number] for number in np.flatnonzero(dataset.pbc.all(axis=1)).tolist()}
    empty = {number: without_box(atoms) for number, atoms in frames.items() if is_empty_box(atoms)}
    if not empty:
        return dataset
    cells, pbc, positions = dataset.cells.copy(), dataset.pbc.copy(), list(dataset.positions)
    for number, atoms in empty.items():
        cells[number], pbc[number], positions[number] = 0.0, False, atoms.positions
    words = f"the boxes of {len(empty)} frames are empty around molecules, which have no cell here"
    if pbc.any() and "cells" in dataset.meta:
        words = f"{dataset.meta['cells']}; {words}"
    meta = {**dataset.meta, "cells": words}
    return replace(dataset, cells=cells if pbc.any() else None, pbc=pbc, positions=tuple(positions), meta=meta)
