"""Training on several devices is training on one: eight virtual ones of a process of its own show it."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from so3lab.engine.devices import devices_for
from so3lab.training.devices import place, taken_home

SUPPORT = Path(__file__).parents[1] / "support"


def test_weights_on_one_device_are_not_copied():
    array = jax.numpy.arange(3.0)
    assert taken_home(place(array, devices_for(1))) is array


@pytest.mark.process
def test_eight_devices_learn_what_one_learns_and_a_run_goes_on_with_another_number(tmp_path, quick_children):
    """In double precision, for frames of several sizes and batches that do not go round: losses, errors and weights."""
    paths = os.pathsep.join([str(SUPPORT), *sys.path])
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "PYTHONPATH": paths, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, str(SUPPORT / "many_devices.py"), str(tmp_path)], env=environment, check=True)
    one, eight, resumed = (np.load(tmp_path / f"{name}.npz") for name in ("one", "eight", "resumed"))
    assert one["devices"] == 1
    assert eight["devices"] == 8
    assert resumed["devices"] == 3
    for other in (eight, resumed):
        for name in ("train_loss", "valid_loss", "valid_force_mae_meV_A"):
            np.testing.assert_allclose(other[name], one[name], rtol=1e-8, err_msg=name)
        # Where a weight has nearly no gradient, the optimizer divides its rounding by nearly nothing.
        np.testing.assert_allclose(other["weights"], one["weights"], atol=2e-8)
    assert len(eight["where"]) == 1  # the potential that comes out is on one device again
