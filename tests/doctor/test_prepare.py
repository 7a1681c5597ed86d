"""What a process is told before JAX is imported."""

import os

import pytest

from so3lab.doctor.prepare import be_quiet


@pytest.mark.parametrize(("before", "after"), [(None, "3"), ("1", "3"), ("0", "0"), ("2", "2")])
def test_a_level_that_a_person_chose_stays(before, after, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if before is not None:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
    be_quiet()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after
    be_quiet()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after
