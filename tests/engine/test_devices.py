"""Structures on several devices move and relax as on one: eight virtual ones of a process of its own show it."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from so3lab.engine.devices import Shares, devices_for

SUPPORT = Path(__file__).parents[1] / "support"


def shares_on(count, structures, monkeypatch):
    """On a device of this process that stands for so many."""
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices("cpu")[:1] * count)
    return Shares(structures)


def test_where_there_is_one_device_nothing_is_dealt_out():
    assert devices_for(1) == (jax.local_devices()[0],)
    assert devices_for(64) == tuple(jax.local_devices())
    assert Shares(1).of_structures == [slice(0, 1)]


@pytest.mark.parametrize(("count", "structures", "sizes"), [(3, 8, [3, 3, 2]), (8, 3, [1, 1, 1]), (2, 2, [1, 1])])
def test_shares_are_as_even_as_they_go_round(count, structures, sizes, monkeypatch):
    shares = shares_on(count, structures, monkeypatch)
    assert [some.stop - some.start for some in shares.of_structures] == sizes
    found = [shares.share_of(number) for number in range(structures)]
    assert found == [(share, there) for share, size in enumerate(sizes) for there in range(size)]
    assert shares.each(lambda number: number) == list(range(len(sizes)))


def test_an_error_comes_out_when_all_have_ended(monkeypatch):
    ended = []

    def task(number):
        ended.append(number)
        raise ValueError(f"in share {number}")

    with pytest.raises(ValueError, match="in share 0"):
        shares_on(3, 3, monkeypatch).each(task)
    assert sorted(ended) == [0, 1, 2]


@pytest.mark.process
def test_eight_devices_move_and_relax_what_one_does_and_a_run_goes_on_with_another_number(tmp_path, quick_children):
    """In double precision, eleven molecules of several sizes with temperatures that are exchanged, and crystals whose
    pair lists fail on the way: all frames; on as many devices as before a run goes on to the last bit."""
    paths = os.pathsep.join([str(SUPPORT), *sys.path])
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "PYTHONPATH": paths, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, str(SUPPORT / "sharded_structures.py"), str(tmp_path)], env=environment, check=True)
    runs = np.load(tmp_path / "runs.npz")
    for name in ("molecules", "crystals"):
        one, *others = runs[name]
        assert np.abs(one).max() > 1.0
        for other in others:
            np.testing.assert_allclose(other, one, atol=1e-9, err_msg=name)
    for name in ("exact", "exact crystals"):
        np.testing.assert_array_equal(runs[name][1], runs[name][0], err_msg=name)
    one, two = (np.load(tmp_path / f"relaxed-{count}.npz") for count in (1, 2))
    np.testing.assert_array_equal(two["why"], one["why"])
    np.testing.assert_allclose(two["energies"], one["energies"], atol=1e-8)
