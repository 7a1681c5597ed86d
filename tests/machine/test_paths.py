"""Where bundled files lie, and where this machine keeps what can be made again."""

from pathlib import Path

import pytest

from so3lab.machine import paths


def test_what_travels_with_so3lab_is_found():
    assert (paths.bundled("data") / "README.md").is_file()
    assert list(paths.bundled("notebooks").glob("*.ipynb"))
    with pytest.raises(FileNotFoundError, match="bundled folder 'nothing' is missing; reinstall so3lab"):
        paths.bundled("nothing")


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", "{home}/kept/so3lab"),
        ("linux", None, "{home}/.cache/so3lab"),
        ("darwin", None, "{home}/Library/Caches/so3lab"),
        ("win32", "LOCALAPPDATA", "{home}/kept/so3lab/Cache"),
    ],
)
def test_each_system_has_its_place_for_caches(platform, variable, folder, monkeypatch, tmp_path):
    for name in ("SO3LAB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(paths.sys, "platform", platform)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "kept"))
    assert paths.cache_folder() == Path(folder.format(home=tmp_path))


def test_a_folder_that_was_chosen_is_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SO3LAB_CACHE", "~/mine")
    assert paths.cache_folder() == tmp_path / "mine"
