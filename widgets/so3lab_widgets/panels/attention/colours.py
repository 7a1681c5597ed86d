"""What atoms can be coloured by in the attention panel: what a network says of each, with definitions and units."""

from collections.abc import Callable

import numpy as np

from so3lab.attention import Channel, Inside, attention_received, euclidean_norms, principal_components
from so3lab.network.settings import ModelSettings
from so3lab_widgets.panels.attention_source import heard_words

_COMPONENTS = 3


def colours_of(
    settings: ModelSettings, look: Callable[[int], Inside], channel: Callable[[], Channel]
) -> dict[str, Callable[[int], np.ndarray]]:
    """Numbers per atom of a frame, by name.

    Args:
        settings: Of the network.
        look: What it says of a frame.
        channel: Gives the chosen attention.
    """

    def component(number: int) -> Callable[[int], np.ndarray]:
        def scores(frame: int) -> np.ndarray:
            found = principal_components(look(frame).features)
            return found[:, number] if number < found.shape[1] else np.zeros(len(found))

        return scores

    def norm(number: int) -> Callable[[int], np.ndarray]:
        return lambda frame: euclidean_norms(look(frame))[:, number]

    found: dict[str, Callable[[int], np.ndarray]] = {
        "attention": lambda frame: attention_received(look(frame), channel()),
        "atomic energy": lambda frame: look(frame).energies,
    }
    if settings.electrostatics != "none":
        found["charge"] = lambda frame: np.asarray(look(frame).charges)
    found["feature norm"] = lambda frame: np.linalg.norm(look(frame).features, axis=1)
    found |= {f"norm of degree {degree}": norm(number) for number, degree in enumerate(settings.degrees)}
    return found | {f"feature component {number + 1}": component(number) for number in range(_COMPONENTS)}


def definitions_of(settings: ModelSettings, channel: Channel | None = None) -> dict[str, tuple[str, str]]:
    """Definition and unit of each of these, for legends."""
    features = "invariant features after the last layer"
    found = {
        "attention": (heard_words(channel or Channel()), "no unit"),
        "feature norm": (f"length of the {features}", "no unit"),
    }
    for degree in settings.degrees:
        words = f"length of the Euclidean variables of degree {degree} after the last layer"
        found[f"norm of degree {degree}"] = (words, "no unit")
    for number in range(_COMPONENTS):
        words = f"principal component {number + 1} of the {features}, over the atoms of this structure"
        found[f"feature component {number + 1}"] = (words, "no unit")
    return found
