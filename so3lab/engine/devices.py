"""Structures dealt out to the devices that JAX finds in this process.

Structures that know nothing of one another need no device to wait for another one: each computes its share from a
thread of its own, which makes pair lists anew where they fail. On one device nothing is dealt out.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np

Result = TypeVar("Result")


def devices_for(pieces: int) -> tuple[jax.Device, ...]:
    """The devices of this process that so many pieces of work keep busy: all that JAX finds, at most one for each."""
    return tuple(jax.local_devices()[:pieces])


class Shares:
    """A share of structures for each device, as even as they go round, and at least one structure each.

    Args:
        structures: How many there are.
    """

    def __init__(self, structures: int):
        self.devices = devices_for(structures)
        ends = np.cumsum([len(some) for some in np.array_split(np.arange(structures), len(self.devices))]).tolist()
        self.of_structures = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        """The structures of each, which follow one another."""
        self._threads = ThreadPoolExecutor(len(self.devices), "so3lab-device") if len(self.devices) > 1 else None

    def __len__(self) -> int:
        return len(self.devices)

    def share_of(self, structure: int) -> tuple[int, int]:
        """In which share a structure is, and its number there."""
        number = next(number for number, some in enumerate(self.of_structures) if structure < some.stop)
        return number, structure - self.of_structures[number].start

    def on(self, number: int, task: Callable[[int], Result]) -> Result:
        """What a task gives for the number of a share, computed on its device."""
        with jax.default_device(self.devices[number]):
            return task(number)

    def each(self, task: Callable[[int], Result]) -> list[Result]:
        """What a task gives for the number of each share, computed on its device, all at the same time.

        Raises:
            Exception: What a task raised, when all have ended; that of the first share which did.
        """
        if self._threads is None:
            return [task(0)]
        running = [self._threads.submit(self.on, number, task) for number in range(len(self))]
        for one in running:
            one.exception()  # waits
        return [one.result() for one in running]
