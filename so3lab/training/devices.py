"""How the frames of a batch are dealt out to the devices that train.

Each device computes its share of a batch with a copy of the weights; sums of errors, and gradients, are added up over
all, so that a step is the same, to rounding, on any number of devices. Where frames do not go round, the last places
hold a frame that does not count.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from so3lab.structures.neighbors import HostOrDevice

AXIS = "devices"
EVERYWHERE = PartitionSpec()
"""The same on each device."""

Devices = tuple[jax.Device, ...]


def place(arrays: Any, devices: Devices) -> Any:
    """Arrays, alone or in a tree, on each of these devices."""
    if len(devices) == 1:
        return jax.device_put(arrays)
    return jax.device_put(arrays, NamedSharding(_mesh(devices), EVERYWHERE))


def taken_home(array: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """What may be on several devices as an array of the default one alone."""
    return array if len(array.devices()) == 1 else jnp.asarray(np.asarray(array))


def add_up(values: Any, devices: Devices) -> Any:
    """Sums over devices, in what :func:`on_each` runs."""
    return values if len(devices) == 1 else jax.lax.psum(values, AXIS)


def on_each(function: Callable, devices: Devices) -> Callable:
    """A function of rows of batches that runs on each device with its share of them; for compiled code.

    Args:
        function: ``(state, frames, order, counted, more) -> anything``, whose result is the same on each device.
        devices: All that take part.

    Returns:
        The same of whole batches: ``order`` and ``counted`` have the axes steps and batch, all else goes to each.
    """
    if len(devices) == 1:
        return function
    of_batch = PartitionSpec(None, AXIS)
    shares = (EVERYWHERE, EVERYWHERE, of_batch, of_batch, EVERYWHERE)
    sharded = jax.shard_map(function, mesh=_mesh(devices), in_specs=shares, out_specs=EVERYWHERE, check_vma=False)

    def of_whole(
        state: Any,
        frames: Any,
        order: Int[HostOrDevice, "steps batch"],
        counted: Float[Array, "steps batch"],
        more: Any,
    ) -> Any:
        missing = ((0, 0), (0, _rows(order.shape[1], len(devices)) - order.shape[1]))
        return sharded(state, frames, jnp.pad(order, missing), jnp.pad(counted, missing), more)

    return of_whole


def _rows(batch_size: int, devices: int) -> int:
    """Places of a batch that is dealt out; where it has several frames, each device has two at least, as long-range
    terms tell molecules from cells by frame only where there are several."""
    return devices * max(min(2, batch_size), -(-batch_size // devices))


def _mesh(devices: Devices) -> Mesh:
    return Mesh(np.array(devices), (AXIS,))
