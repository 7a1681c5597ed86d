"""Which frames of a set has a model seen in training, as far as its file tells?"""

from typing import Any, NamedTuple

import numpy as np

from so3lab.datasets import Dataset
from so3lab.datasets.frame_hashes import frame_hashes, is_among, packed
from so3lab.potential.potential import Potential

KEY = "seen_frames"
"""Entry of a potential's metadata with the hashes of its frames, and whether they are all that it has seen."""


class Parts(NamedTuple):
    """What each frame of a set was to a model."""

    of_frames: np.ndarray
    """``"train"``, ``"valid"``, ``"held out"``, or ``"unknown"`` where the model's file does not tell; shape
    ``(frames,)``."""
    note: str = ""
    """What is not known, in a sentence."""

    @property
    def held_out(self) -> np.ndarray:
        """Which frames had no part in training."""
        return self.of_frames == "held out"


def record_of_frames(train_data: Dataset, valid_data: Dataset, start: Potential | None) -> dict[str, Any]:
    """For the metadata of a model: the frames that it is trained and validated on, and those of what it began with."""
    train, valid = frame_hashes(train_data), frame_hashes(valid_data)
    if start is None:
        return {"train": packed(train), "valid": packed(valid), "complete": True}
    earlier = start.metadata.get(KEY)
    if earlier is None:
        return {"train": packed(train), "valid": packed(valid), "complete": False}
    return {
        "train": packed(train, earlier["train"]),
        "valid": packed(valid, earlier["valid"]),
        "complete": earlier["complete"],
    }


def parts_of(potential: Potential, dataset: Dataset) -> Parts:
    """Tell frames of a set apart that a model was trained on.

    A model file holds hashes of its frames (:mod:`so3lab.datasets.frame_hashes`), so that they are known again in
    other files and orders. Files of older versions hold numbers of test frames of a set with a name, which is taken for
    the same set when its name is the same and it has room for all parts.
    """
    seen = potential.metadata.get(KEY)
    if seen is None:
        return _by_name(potential.metadata, dataset)
    marks = frame_hashes(dataset)
    parts = np.where(is_among(marks, seen["valid"]), "valid", "held out")
    parts = np.where(is_among(marks, seen["train"]), "train", parts)
    if seen["complete"]:
        return Parts(parts)
    return Parts(parts, "the model began with another one, whose frames are not known")


def _by_name(metadata: dict[str, Any], dataset: Dataset) -> Parts:
    test = metadata.get("split", {}).get("test_frames")
    known = metadata.get("train_frames", 0) + metadata.get("valid_frames", 0) + len(test or ())
    if test and metadata.get("dataset") == dataset.name and known <= len(dataset) and max(test) < len(dataset):
        parts = np.full(len(dataset), "train", dtype="<U8")
        parts[test] = "held out"
        return Parts(parts, "the model file knows its test frames by the name and order of the set alone")
    unknown = np.full(len(dataset), "unknown")
    return Parts(unknown, "the model file does not tell which frames it was trained on, which may be among these")
