"""What the check of labels says of a set, for several test files."""

import warnings

import numpy as np
import pytest

from so3lab import datasets


def remarks_on(dataset):
    """What the check says of a set that it does not refuse."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        remarks = datasets.check_labels(dataset)
    assert [str(one.message) for one in caught] == [f"{dataset.name}: {remark}" for remark in remarks]
    return remarks


def refused(dataset, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.check_labels(dataset)


def joined(*parts):
    return datasets.Dataset(
        "joined",
        sum((part.numbers for part in parts), ()),
        sum((part.positions for part in parts), ()),
        np.concatenate([part.energies for part in parts]),
        sum((part.forces for part in parts), ()),
    )
