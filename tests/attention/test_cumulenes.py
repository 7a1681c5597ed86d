"""The torsion of a cumulene is seen as far as the graph of a network reaches, and not one carbon further."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import so3lab
from so3lab.attention import sees_torsion, torsion_coupling, torsion_scan
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


def test_the_coupling_of_the_ends_is_the_curvature_of_the_torsion(sensitive):
    """Energies depend on the difference of the two angles alone: the mixed derivative is minus the second one."""
    found = torsion_coupling(sensitive, [8, 9]).set_index("carbons")
    step = 2.0
    scan = torsion_scan(sensitive, [8], [-step, 0.0, step]).set_index("torsion_deg")["learned"]
    curvature = (scan[step] + scan[-step] - 2 * scan[0.0]) / np.radians(step) ** 2
    assert found.loc[8, "learned_coupling"] == pytest.approx(-curvature, rel=1e-2)
    assert abs(found.loc[9, "learned_coupling"]) < 1e-6 * abs(curvature)
    assert found["sees_torsion"].tolist() == [True, False]
    np.testing.assert_allclose(found["coupling"], found["learned_coupling"], atol=1e-9 * abs(curvature))


@pytest.mark.study
def test_so3lr_follows_the_torsion_up_to_eight_carbons_and_is_blind_from_nine():
    try:
        so3lr = so3lab.load("so3lr").astype("float64")
    except DownloadError as error:
        pytest.skip(f"SO3LR's published weights cannot be had here: {error}")
    assert [carbons for carbons in range(4, 12) if sees_torsion(carbons, so3lr.settings.cutoff)] == [4, 5, 6, 7, 8]
    span = torsion_scan(so3lr, range(4, 12), [0.0, 90.0]).groupby("carbons")[["energy", "learned"]].agg(np.ptp)
    assert (span.loc[:8, "learned"] > 1e-7).all()
    assert (span.loc[9:, "learned"] < 1e-12).all()
    assert span.loc[9:, "energy"].between(1e-7, 1e-4).all(), "charges and dispersion reach further"


@pytest.mark.study
def test_a_bundled_model_of_five_angstroms_sees_two_carbons_further_than_so3lr():
    ethanol = so3lab.load("ethanol").astype("float64")
    assert [carbons for carbons in range(4, 13) if sees_torsion(carbons, ethanol.settings.cutoff)][-1] == 10
    span = torsion_scan(ethanol, [9, 10, 11, 12], [0.0, 90.0]).groupby("carbons")["learned"].agg(np.ptp)
    assert (span.loc[:10] > 1e-11).all()
    assert (span.loc[11:] < 1e-12).all()
