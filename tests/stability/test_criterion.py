"""A trajectory is stable until a bond strays, and few survivors are little evidence."""

import numpy as np
import pytest

from so3lab import stability


def test_interval_of_none_some_and_all_is_that_of_wilson():
    # Roots of (p - s)² = z² s (1 - s) / n.
    for survived, replicas in ((0, 6), (2, 6), (6, 6), (1, 1)):
        share, low_high = survived / replicas, stability.survival_interval(survived, replicas)
        for edge in low_high:
            assert (share - edge) ** 2 == pytest.approx(4.0 * edge * (1.0 - edge) / replicas, abs=1e-12)
        assert low_high[0] <= share <= low_high[1]
    assert stability.survival_interval(6, 6) == pytest.approx((0.6, 1.0))
    assert stability.survival_interval(0, 6) == pytest.approx((0.0, 0.4))
    with pytest.raises(ValueError, match="survived must be 0 to replicas, at least 1; got 7 of 6"):
        stability.survival_interval(7, 6)


def test_without_reference_a_bond_is_compared_with_its_own_past():
    rng = np.random.default_rng(0)
    lengths = np.array([1.1, 1.5]) + rng.normal(0.0, 0.05, (200, 2))
    lengths[120:, 1] += 3.0
    verdict = stability.first_unstable_frame(lengths)
    assert verdict.stable_frames == 120
    assert len(verdict.deviations_A) == 121
    assert verdict.worst_bond == 1
    assert verdict.deviations_A[:-1].max() < 0.25
    assert verdict.deviations_A[-1] == pytest.approx(3.0, abs=0.2)
    assert stability.first_unstable_frame(lengths[:120]).stable_frames == 120
