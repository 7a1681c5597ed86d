"""Downloads from a server on this machine: whole, broken off, resumed, wrong, missing, and by two at once."""

import bz2
import hashlib
import http.server
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.build import molecule

from so3lab import datasets
from so3lab.datasets import download as download_module
from so3lab.datasets import sources
from so3lab.datasets.download import CHECKSUMS

FILE = "md17_ethanol.npz"


class Server(http.server.ThreadingHTTPServer):
    """Serves bytes by name, in ranges where the client may trust them, and breaks off where told to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.ranges = True
        self.length = True
        self.requests: list[str] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.server.requests.append(self.headers.get("Range", "whole"))
        name = self.path.lstrip("/")
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        start = 0
        if "Range" in self.headers and self.server.ranges and self.headers.get("If-Range") == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        if self.server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = len(content) if self.server.break_after is None else start + self.server.break_after
        self.wfile.write(content[start:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server whose address takes the place of the publishers', and an empty cache."""
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        monkeypatch.setenv("SO3LAB_DATA_URL", server.url)
        server.files[FILE] = md17_file()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def md17_file(frames=300):
    rng = np.random.default_rng(0)
    atoms = molecule("CH3CH2OH")
    positions = atoms.positions + 0.02 * rng.normal(size=(frames, 9, 3))
    energies, forces = -97000 + rng.normal(size=frames), 20 * rng.normal(size=positions.shape)
    file = io.BytesIO()
    np.savez(file, z=atoms.numbers, R=positions, E=energies, F=forces)
    return file.getvalue()


def test_a_set_is_downloaded_once_and_loaded_in_its_publishers_unit(server):
    steps = []
    path = datasets.fetch("md17-ethanol", progress=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == server.files[FILE]
    assert steps[-1] == (len(server.files[FILE]), len(server.files[FILE]))
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    dataset = datasets.load("md17-ethanol")
    assert len(server.requests) == 1
    assert dataset.name == "md17-ethanol"
    assert dataset.energies.mean() == pytest.approx(-97000 * 0.0433641, rel=1e-4)
    assert dataset.meta["energy_unit_read"] == "kcal/mol"
    assert "Chmiela" in dataset.meta["citation"]
    assert sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock") == [CHECKSUMS, FILE]


def test_the_catalogue_knows_what_is_here(server):
    def where():
        return datasets.catalogue().set_index("name").loc["md17-ethanol", "where"]

    assert where() == "remote"
    assert datasets.describe("md17-ethanol")["where"] == "remote"
    datasets.fetch("MD17_ethanol")  # names are forgiving
    assert where() == "cached"
    facts = datasets.describe("md17-ethanol")
    assert (facts["where"], facts["frames"], facts["level_of_theory"]) == ("cached", 300, "PBE+TS")
    assert server.requests == ["whole"]


def test_every_entry_of_the_catalogue_says_what_it_is():
    table = datasets.catalogue()
    assert table["name"].is_unique
    assert (table["licence"].str.len() > 0).all()
    assert (table["citation"].str.len() > 0).all()
    assert (table["level_of_theory"].str.len() > 0).all()
    assert {"md17-aspirin", "rmd17-ethanol", "md22-ac-ala3-nhme", "qm7x-8000"} <= set(table["name"])
    for entry in sources.public_sets().values():
        assert entry.energy_unit in ("eV", "kcal/mol")
        assert entry.url.startswith("http")


def test_a_broken_transfer_goes_on_where_it_stopped(server):
    server.break_after = 10_000
    with pytest.raises(datasets.DownloadError, match=r"transfer ended after 10000 of \d+ bytes\. Run it again"):
        datasets.fetch("md17-ethanol")
    assert not (sources.download_folder() / FILE).exists()
    server.break_after = None
    steps = []
    path = datasets.fetch("md17-ethanol", progress=lambda done, total: steps.append((done, total)))
    assert server.requests == ["whole", "bytes=10000-"]
    assert path.read_bytes() == server.files[FILE]
    assert steps[0][0] > 10_000
    assert steps[-1][0] == steps[-1][1] == len(server.files[FILE])


def test_a_file_that_changed_meanwhile_is_not_patched_together(server):
    server.break_after = 10_000
    with pytest.raises(datasets.DownloadError):
        datasets.fetch("md17-ethanol")
    server.break_after = None
    server.files[FILE] = md17_file(frames=310)
    assert datasets.fetch("md17-ethanol").read_bytes() == server.files[FILE]


def test_servers_without_ranges_or_lengths_work(server):
    server.break_after = 10_000
    with pytest.raises(datasets.DownloadError):
        datasets.fetch("md17-ethanol")
    server.break_after, server.ranges, server.length = None, False, False
    steps = []
    path = datasets.fetch("md17-ethanol", progress=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == server.files[FILE]
    assert steps[-1] == (len(server.files[FILE]), None)


def test_a_finished_part_that_was_never_used_is_no_dead_end(server):
    server.break_after = 10_000
    with pytest.raises(datasets.DownloadError):
        datasets.fetch("md17-ethanol")
    part = sources.download_folder() / f"{FILE}.part"
    part.write_bytes(server.files[FILE])
    server.break_after = None
    assert datasets.fetch("md17-ethanol").read_bytes() == server.files[FILE]


def test_a_missing_file_and_no_network_say_what_to_place_where(server, monkeypatch):
    place = str(sources.download_folder() / FILE)
    del server.files[FILE]
    with pytest.raises(datasets.DownloadError, match="404") as caught:
        datasets.fetch("md17-ethanol")
    assert f"place it as {place}" in str(caught.value)
    monkeypatch.setenv("SO3LAB_DATA_URL", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(datasets.DownloadError, match=r"could not be downloaded from http://127.0.0.1:9/") as caught:
        datasets.load("md17-ethanol")
    assert f"place it as {place}" in str(caught.value)


def test_a_file_placed_by_hand_is_taken(server, monkeypatch):
    place = sources.download_folder() / FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(server.files[FILE])
    assert datasets.fetch("md17-ethanol") == place
    assert server.requests == []
    recorded = json.loads((place.parent / CHECKSUMS).read_text())[FILE]
    assert recorded["sha256"] == hashlib.sha256(server.files[FILE]).hexdigest()


def test_the_first_download_is_remembered_and_a_different_one_refused(server):
    path = datasets.fetch("md17-ethanol")
    path.unlink()
    assert datasets.fetch("md17-ethanol") == path  # the same again
    path.unlink()
    server.files[FILE] = md17_file(frames=301)
    with pytest.raises(datasets.DownloadError, match=r"sha256 .*, but its first download had .*remove its entry"):
        datasets.fetch("md17-ethanol")
    assert not path.exists()
    (path.parent / CHECKSUMS).unlink()
    assert datasets.fetch("md17-ethanol").read_bytes() == server.files[FILE]


def publish(monkeypatch, name, **changes):
    """Change an entry of the catalogue."""
    sets = sources.public_sets()
    sets[name] = replace(sets[name], **changes)
    monkeypatch.setattr(download_module, "public_sets", lambda: sets)


def archive_of(*members):
    """A tar.bz2 with the members given as (name, content or link target)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members:
            item = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                item.size = len(content)
                archive.addfile(item, io.BytesIO(content))
            else:
                item.type, item.linkname = tarfile.SYMTYPE, content
                archive.addfile(item)
    return bz2.compress(file.getvalue(), 1)


def serve_archive(server, monkeypatch, content, **changes):
    server.files["rmd17.tar.bz2"] = content
    publish(monkeypatch, "rmd17-ethanol", checksum=f"md5:{hashlib.md5(content).hexdigest()}", **changes)


def test_one_member_is_taken_from_an_archive(server, monkeypatch, tmp_path):
    content = archive_of(
        ("../../evil.txt", b"x"),
        ("rmd17/npz_data/rmd17_ethanol.npz", b"wanted"),
        ("rmd17/npz_data/rmd17_uracil.npz", b"not wanted"),
    )
    serve_archive(server, monkeypatch, content)
    path = datasets.fetch("rmd17-ethanol")
    assert path.read_bytes() == b"wanted"
    unpacked = {file.name for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".lock"}
    assert unpacked == {"rmd17_ethanol.npz", "rmd17.tar.bz2", CHECKSUMS}
    path.unlink()
    datasets.fetch("rmd17-ethanol")
    assert len(server.requests) == 1  # the archive is still here


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (archive_of(("rmd17/npz_data/rmd17_ethanol.npz", "/etc/passwd")), "not a plain file"),
        (archive_of(("other.npz", b"x")), "it has no rmd17/npz_data/rmd17_ethanol.npz"),
        (archive_of(("rmd17/npz_data/rmd17_ethanol.npz", os.urandom(5000)))[:3000], "could not be unpacked"),
        (b"no archive", "could not be unpacked"),
    ],
)
def test_archives_without_a_proper_member_are_refused(server, monkeypatch, content, sentence):
    serve_archive(server, monkeypatch, content)
    with pytest.raises(datasets.DownloadError, match=sentence):
        datasets.fetch("rmd17-ethanol")
    folder = sources.download_folder()
    assert not [file for file in folder.iterdir() if "ethanol" in file.name]


def test_a_published_checksum_must_agree(server):
    server.files["rmd17.tar.bz2"] = archive_of(("rmd17/npz_data/rmd17_ethanol.npz", b"wrong"))
    with pytest.raises(datasets.DownloadError, match="but its publisher states cb1a927628d96f2e966025da4fb63d18"):
        datasets.fetch("rmd17-ethanol")
    folder = sources.download_folder()
    assert [file.name for file in folder.iterdir() if file.suffix != ".lock"] == []
    (folder / "rmd17.tar.bz2").write_bytes(server.files["rmd17.tar.bz2"])  # by hand is no better
    with pytest.raises(datasets.DownloadError, match=r"publisher states .* delete .* first"):
        datasets.fetch("rmd17-ethanol")


def test_qm7x_is_unpacked(server, monkeypatch, tmp_path):
    atoms = molecule("CH4")
    with h5py.File(tmp_path / "plain.hdf5", "w") as file:
        for i in range(3):
            group = file.create_group(f"1/Geom-m1-i1-c1-d{i}")
            group["atNUM"], group["atXYZ"] = atoms.numbers, atoms.positions
            group["ePBE0+MBD"], group["totFOR"] = [-1100.0 - i], np.full((5, 3), 0.1)
    packed = lzma.compress((tmp_path / "plain.hdf5").read_bytes())
    server.files["1000.xz"] = packed
    publish(monkeypatch, "qm7x-1000", checksum=f"md5:{hashlib.md5(packed).hexdigest()}")
    dataset = datasets.load("qm7x-1000")
    assert dataset.energies.tolist() == [-1100, -1101, -1102]
    assert dataset.meta["licence"] == "CC-BY-4.0"


def test_two_at_once_download_once(server):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(datasets.fetch, ["md17-ethanol"] * 4))
    assert len(set(paths)) == 1
    assert server.requests == ["whole"]


@pytest.mark.process
def test_a_second_process_waits_for_the_first(server):
    code = "from so3lab import datasets; print('ready', flush=True); print(datasets.fetch('md17-ethanol'))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:

        def hold(_done, _total):
            if not other_is_ready:
                other_is_ready.append(other.stdout.readline())
                time.sleep(0.3)  # the other one is now waiting for us, or would ask the server

        other_is_ready: list[str] = []
        path = datasets.fetch("md17-ethanol", progress=hold)
        assert other.stdout.read().strip() == str(path)
    assert other_is_ready == ["ready\n"]
    assert server.requests == ["whole"]


def test_an_interrupted_caller_leaves_no_half_file(server):
    def interrupt(done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        datasets.fetch("md17-ethanol", progress=interrupt)
    assert not (sources.download_folder() / FILE).exists()
    assert datasets.fetch("md17-ethanol").read_bytes() == server.files[FILE]


def test_a_folder_and_a_mirror_can_be_chosen(server, monkeypatch, tmp_path):
    monkeypatch.delenv("SO3LAB_DATA_URL")
    path = datasets.fetch("md17-ethanol", folder=tmp_path / "mine", base_url=server.url + "/")
    assert path == Path(tmp_path / "mine" / FILE)


def test_names_that_are_not_in_the_catalogue_are_refused():
    with pytest.raises(ValueError, match="did you mean 'md17-ethanol'"):
        datasets.fetch("md17-etanol")
