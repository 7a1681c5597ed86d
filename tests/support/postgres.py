"""Debian's PostgreSQL server, started for a test in a folder of its own, by a user who is not root."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import wait_for

SERVANTS = ("postgres", "nobody")
"""Users in whose name root starts the server, which refuses to be run by root itself."""


def server_programs() -> Path:
    """Where ``initdb`` and ``postgres`` are; the test is skipped where they are not."""
    for folder in [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin")]:
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    found = shutil.which("initdb")
    if found is None:
        pytest.skip("needs the server of PostgreSQL: apt-get install postgresql")
    return Path(found).resolve().parent


@contextmanager
def postgres_server() -> Iterator[str]:
    """URL of an empty database on a server that ends with the context."""
    pytest.importorskip("ase_db_backends", reason="needs the extra 'postgresql'")
    programs = server_programs()
    who = _servant() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    try:
        if who is not None:
            os.chown(folder, who.pw_uid, who.pw_gid)
        begin = {} if who is None else {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        data, port = folder / "data", _free_port()
        make = [programs / "initdb", "-D", data, "-U", "so3lab", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **begin)
        options = ["-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        with (folder / "log").open("wb") as log:
            command = [programs / "postgres", "-D", data, "-p", str(port), *options]
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **begin)
        try:
            wait_for(lambda: _answers(port, server, folder / "log"), "PostgreSQL answers")
            yield f"postgresql://so3lab:none@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(timeout=60)
    finally:
        shutil.rmtree(folder)


def _servant() -> pwd.struct_passwd:
    for name in SERVANTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip(f"needs a user who is not root to start PostgreSQL: one of {', '.join(SERVANTS)}")


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _answers(port: int, server: subprocess.Popen, log: Path) -> bool:
    import psycopg2

    assert server.poll() is None, log.read_text()
    try:
        psycopg2.connect(host="127.0.0.1", port=port, user="so3lab", dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True
