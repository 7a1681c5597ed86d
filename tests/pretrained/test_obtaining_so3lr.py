"""SO3LR arrives whole, unaltered and once, from wherever this machine can get it."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlff_reference
import pytest
import torch_files
from small_checkpoint import port_attributes, same_tensors, settings_and_parameters

import so3lab
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.pretrained import DownloadError, cached_model, conversion, convert, download, load_so3lr
from so3lab.pretrained.published import MEMBER, WHEEL


class Index:
    """A package index that hands out one wheel."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.wheel = folder / WHEEL
        self.asked = 0
        self.works = True

    def ways(self):
        self.asked += 1
        copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
        fail = "import sys; sys.exit('ERROR: no route to the index')"
        yield "pip", [sys.executable, "-c", copy if self.works else fail, str(self.wheel)]


@pytest.fixture
def index(tmp_path, monkeypatch) -> Index:
    """The small network is the published one, on an index of this machine; the cache is empty."""
    settings, parameters = settings_and_parameters()
    model = torch_files.torch_file(port_attributes(), torch_files.torch_parameters(settings, parameters))
    index = Index(tmp_path / "index")
    with zipfile.ZipFile(index.wheel, "w") as archive:
        archive.writestr(MEMBER, model)
    checksum = hashlib.sha256(model).hexdigest()
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "MEMBER_SHA256", checksum)
    monkeypatch.setattr(download, "WHEEL_SHA256", hashlib.sha256(index.wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(download, "ways_to_fetch", index.ways)
    monkeypatch.setattr(conversion, "MEMBER_SHA256", checksum)
    potential = conversion.potential_from_torch(model, "so3lr.model")
    monkeypatch.setattr(conversion, "SO3LR_SETTINGS", potential.settings)
    monkeypatch.setattr(conversion, "SO3LR_TENSORS", conversion.checksum(flat_parameters(potential.parameters)))
    return index


def test_it_is_fetched_converted_and_cited_once(index, capsys):
    first = so3lab.load("so3lr")
    said = capsys.readouterr().err
    assert "checksums agree" in said
    assert said.count("please cite") == 1
    assert first.metadata["name"] == "SO3LR"
    index.works = False
    second = load_so3lr()
    assert capsys.readouterr().err == ""
    assert index.asked == 1
    assert same_tensors(first, second)
    assert [path.name for path in cached_model().parent.iterdir() if path.suffix != ".lock"] == [cached_model().name]


def test_where_nothing_can_be_kept_it_is_used_all_the_same(index, capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "file" / "cache"))
    assert load_so3lr().elements
    assert "cannot be written (Not a directory): SO3LR is not kept" in capsys.readouterr().err
    assert index.asked == 1


def test_many_at_once_fetch_once(index):
    barrier, said = threading.Barrier(4), []

    def one(_):
        barrier.wait()
        return load_so3lr(tell=said.append)

    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(one, range(4)))
    assert index.asked == 1
    assert sum("please cite" in sentence for sentence in said) == 1
    assert all(same_tensors(loaded[0], other) for other in loaded[1:])


@pytest.mark.parametrize("damage", ["cut off", "a weight", "settings", "another file"])
def test_a_damaged_cache_is_not_used_but_made_again(index, damage):
    sound = load_so3lr()
    path = cached_model()
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "a weight":
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    elif damage == "settings":
        replace(sound, settings=replace(sound.settings, cutoff=6.0)).save(path)
    else:
        path.write_text("no model")
    said: list[str] = []
    assert same_tensors(load_so3lr(tell=said.append), sound)
    assert any("damaged" in sentence for sentence in said)
    assert load_so3lr().settings == sound.settings


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data[:2000] + b"x" + data[2001:], lambda _: b""]
)
def test_an_altered_wheel_is_refused_and_leaves_nothing(index, change):
    index.wheel.write_bytes(change(index.wheel.read_bytes()))
    with pytest.raises(ValueError, match="truncated or altered"):
        load_so3lr()
    assert not cached_model().exists()
    assert [path.name for path in cached_model().parent.iterdir()] == ["so3lr.lock"]


def test_offline_says_which_file_to_place_where_and_takes_it(index):
    index.works = False
    with pytest.raises(DownloadError, match="no route to the index") as caught:
        load_so3lr()
    place = cached_model().parent / WHEEL
    assert f"place {WHEEL} as {place}" in str(caught.value)
    shutil.copy(index.wheel, place)
    assert load_so3lr().elements
    assert index.asked == 1


def test_without_pip_and_uv_the_sentence_says_so(index, monkeypatch):
    monkeypatch.setattr(download, "ways_to_fetch", lambda: iter(()))
    with pytest.raises(DownloadError, match="neither pip nor uv was found"):
        load_so3lr()


def test_a_folder_with_the_wheel_needs_no_network(index):
    index.works = False
    assert load_so3lr(index.wheel.parent).metadata["name"] == "SO3LR"
    with zipfile.ZipFile(index.wheel) as archive:
        archive.extract(MEMBER, index.wheel.parent)
    index.wheel.unlink()
    assert load_so3lr(index.wheel.parent).metadata["name"] == "SO3LR"
    assert index.asked == 0


def test_an_installed_port_is_used_and_not_imported(index, tmp_path, monkeypatch):
    index.works = False
    with zipfile.ZipFile(index.wheel) as archive:
        archive.extract(MEMBER, tmp_path / "site")
    (tmp_path / "site" / "so3krates_torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert load_so3lr().metadata["name"] == "SO3LR"
    assert index.asked == 0
    assert "so3krates_torch" not in sys.modules


def test_another_version_of_the_port_is_passed_over(index, tmp_path, monkeypatch):
    other = tmp_path / "site" / MEMBER
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another version")
    (tmp_path / "site" / "so3krates_torch" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert load_so3lr().metadata["name"] == "SO3LR"
    assert index.asked == 1


@pytest.mark.process
def test_there_is_a_way_to_fetch_here():
    ways = list(download.ways_to_fetch())
    assert ways
    for name, command in ways:
        program = (
            [*command[: command.index("download")], "--version"] if "download" in command else [command[0], "--version"]
        )
        assert subprocess.run(program, capture_output=True).returncode == 0, name


@pytest.mark.process
@pytest.mark.skipif(not os.environ.get("CI"), reason="fetches 3 MB from the package index; set CI=1")
def test_the_published_wheel_is_obtained_as_users_obtain_it(tmp_path):
    program = (
        "import sys, so3lab; potential = so3lab.load('so3lr'); "
        "assert 'torch' not in sys.modules and 'so3krates_torch' not in sys.modules; "
        "print(potential.elements)"
    )
    environment = os.environ | {"SO3LAB_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 6, 7, 8, 9, 15, 16, 17)"
    if (mlff_reference.SHARED / "reference").is_dir():
        authors = convert(mlff_reference.SHARED / "reference" / "so3lr")
        assert same_tensors(authors, Potential.load(tmp_path / "models" / cached_model().name))
