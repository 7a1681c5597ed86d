"""The fake simulation has the face of the real one: what panels may ask of it is there, and answers alike."""

import inspect
import itertools

import numpy as np
import pytest
from ase.build import molecule
from fake_simulation import FakeSimulation

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.live import LiveDynamics


def public(kind: type) -> dict[str, object]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize("name", public(FakeSimulation))
def test_it_is_asked_as_the_real_one(name):
    real, fake = public(LiveDynamics)[name], public(FakeSimulation)[name]
    assert type(real) is type(fake)
    if inspect.isfunction(fake):
        assert list(inspect.signature(fake).parameters) == list(inspect.signature(real).parameters)


def test_it_is_made_as_the_real_one():
    assert set(inspect.signature(FakeSimulation).parameters) <= set(inspect.signature(LiveDynamics).parameters)


def test_its_past_is_consistent_and_can_be_gone_back_to():
    fake = FakeSimulation(None, [molecule("H2O")] * 2, seeds=[0, 1])
    chunks = list(itertools.islice(fake.run(), 10))
    assert all(isinstance(chunk, Chunk) for chunk in chunks[-1])
    assert len(fake.table()) == fake.frames() == 1 + sum(len(of_first) for of_first, _ in chunks)
    np.testing.assert_array_equal(chunks[-1][1].positions, fake.positions(1, slice(-2, None)))
    assert np.abs(fake.positions(0) - fake.positions(1)).max() > 1e-3
    before = fake.positions()
    fake.go_back(-3)
    np.testing.assert_array_equal(fake.positions(), before[:-2])
    next(fake.run())
    np.testing.assert_allclose(fake.positions(), before, atol=1e-12)
    fake.go_back(5, seed=3)
    next(fake.run())
    assert np.abs(fake.positions()[6] - before[6]).max() > 1e-3, "another future"
    assert fake.replicas.step == fake.table()["step"].iloc[-1]
