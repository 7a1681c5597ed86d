"""A kernel is made fit before panels compute; programs are kept on disk where reading them is quiet."""

import pytest
from so3lab_widgets.running.kernel import prepare_kernel

from so3lab.doctor import prepare


@pytest.mark.parametrize(("level", "kept"), [("1", False), ("3", True), (None, False)])
def test_programs_are_kept_where_xla_is_quiet(monkeypatch, level, kept):
    asked = []
    monkeypatch.setattr(prepare, "prepare_process", lambda keep_programs: asked.append(keep_programs))
    if level is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    else:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    prepare_kernel()
    assert asked == [kept]
