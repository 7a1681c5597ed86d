"""How two sets become one: frames found and labelled later beside those that were there."""

import numpy as np

from so3lab.datasets.dataset import Dataset


def joined(first: Dataset, second: Dataset) -> Dataset:
    """The frames of one set and then those of another; name and origin are those of the first.

    Labels that only one of them has are left out. Energies must count from one zero, which nobody can see here: unless
    both were checked before, :func:`so3lab.datasets.check_labels` looks at the whole.
    """
    whole = Dataset(
        name=first.name,
        numbers=(*first.numbers, *second.numbers),
        positions=(*first.positions, *second.positions),
        energies=np.concatenate([first.energies, second.energies]),
        forces=(*first.forces, *second.forces),
        cells=None if first.cells is None and second.cells is None else np.concatenate([_cells(first), _cells(second)]),
        pbc=np.concatenate([first.pbc, second.pbc]),
        total_charges=np.concatenate([first.total_charges, second.total_charges]),
        unpaired_electrons=np.concatenate([first.unpaired_electrons, second.unpaired_electrons]),
        stresses=_joined_stresses(first, second),
        labels={
            key: np.concatenate([first.labels[key], second.labels[key]])
            for key in first.labels
            if key in second.labels and first.labels[key].shape[1:] == second.labels[key].shape[1:]
        },
        meta=first.meta,
    )
    if first.remarks is not None and second.remarks is not None:
        whole.keep_remarks(
            *(tuple(dict.fromkeys((*one, *other)))
              for one, other in ((first.remarks, second.remarks), (first.untold, second.untold)))
        )  # fmt: skip
    return whole


def _joined_stresses(first: Dataset, second: Dataset) -> np.ndarray | None:
    if first.stresses is None and second.stresses is None:
        return None
    return np.concatenate(
        [np.full((len(part), 3, 3), np.nan) if part.stresses is None else part.stresses for part in (first, second)]
    )


def _cells(dataset: Dataset) -> np.ndarray:
    return np.zeros((len(dataset), 3, 3)) if dataset.cells is None else dataset.cells
