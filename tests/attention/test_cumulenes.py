"""The torsion of a cumulene is seen as far as the graph of a network reaches, and not one carbon further."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import so3lab
from so3lab.attention import torsion_coupling, torsion_scan
from so3lab.engine.energy_model import precision
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.pretrained import DownloadError


@pytest.fixture(scope="module")
def sensitive():
    """A random network whose weights are large enough for neighbours at the edge of the cutoff to matter."""
    settings = ModelSettings(
        num_features=16, num_layers=2, num_heads=2, degrees=(1, 2), cutoff=4.5, num_radial=8, energy_hidden=8,
        mean_neighbors=1.0,
    )  # fmt: skip
    potential = Potential.initial(settings, seed=3, dtype="float64")
    with precision("float64"):
        return replace(potential, parameters=jax.tree.map(lambda leaf: 1.8 * leaf, potential.parameters))


def test_a_network_is_blind_beyond_its_reach_and_only_there(sensitive):
    scan = torsion_scan(sensitive, [8, 9], [0.0, 50.0, 90.0])
    span = scan.groupby("carbons")["learned"].agg(np.ptp)
    assert span[8] > 1e-6
    assert span[9] < 1e-4 * span[8]
    assert (scan["energy"] >= 0).all()


@pytest.fixture(scope="module")
def so3lr():
    try:
        return so3lab.load("so3lr").astype("float64")
    except DownloadError as error:
        pytest.skip(f"SO3LR's published weights cannot be had here: {error}")


@pytest.mark.study
def test_so3lr_follows_the_torsion_up_to_eight_carbons_and_is_blind_from_nine(so3lr):
    found = torsion_coupling(so3lr, range(4, 12)).set_index("carbons")
    assert list(found.index[found["sees_torsion"]]) == [4, 5, 6, 7, 8]
    seen, blind = found.loc[:8, "learned_coupling"].abs(), found.loc[9:, "learned_coupling"].abs()
    assert (seen > 1e-7).all()
    assert (blind < 1e-12).all()
    assert found.loc[9:, "coupling"].abs().between(1e-7, 1e-3).all(), "charges and dispersion reach further"
