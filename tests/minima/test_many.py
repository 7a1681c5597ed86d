"""A database of thousands of minima is opened, read and added to by as many statements as one of a few."""

import sys
from contextlib import contextmanager

import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.minima import MinimaDatabase, Minimum

FEW, MANY = 5, 60


def minimum(number):
    atoms = Atoms("He2", [[0, 0, 0], [0, 0, 3 + 0.01 * number]])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0 - number)
    return Minimum(number, atoms, -1.0 - number, "start", None)


def filled(file, count):
    database = MinimaDatabase(file)
    database.begin("search-a", Atoms("He2"), {"model": "none"})
    database.commit("search-a", [minimum(k) for k in range(count)], [], {"round": 1})
    return database


@contextmanager
def counted(database):
    """The statements that a database carries out meanwhile."""
    statements, begin = [], database._database._connect

    def traced():
        connection = begin()
        connection.set_trace_callback(statements.append)
        return connection

    database._database._connect = traced
    yield statements
    database._database._connect = begin


@pytest.mark.parametrize("what", ["find", "table", "commit"])
def test_statements_do_not_grow_with_the_number_of_minima(tmp_path, what):
    def work(database, count):
        if what == "find":
            assert database.find("search-a").progress == {"round": 1}
        elif what == "table":
            assert len(database.table()) == count
        else:
            database.commit("search-a", [minimum(count)], [minimum(0)], {"round": 2})

    numbers = []
    for count in (FEW, MANY):
        database = filled(tmp_path / f"{count}.db", count)
        with counted(database) as statements:
            work(database, count)
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] > 0


def test_whatever_is_committed_with_many_others_is_found_again(tmp_path):
    filled(tmp_path / "a.db", MANY)
    found = [one.minimum for one in MinimaDatabase(tmp_path / "a.db").minima("search-a")]
    assert [one.number for one in found] == list(range(MANY))
    assert [one.energy for one in found] == [-1.0 - k for k in range(MANY)]


def test_names_are_shown_without_passwords():
    from so3lab.minima.connecting import without_password

    assert without_password("postgresql://me:secret@host:5432/minima") == "postgresql://me@host:5432/minima"
    for url in (
        "postgresql://me:se/cr:et@host:5432/minima",
        "postgresql://me@host:5432/minima?sslmode=prefer&password=secret",
        "postgresql://me@host/minima?PASSWORD=secret&port=1",
    ):
        shown = without_password(url)
        assert "cr" not in shown
        assert shown.startswith("postgresql://me@host")
        assert "/minima" in shown
    for name in ("minima.db", "postgresql://host:5432/minima?application_name=a@b", "postgresql://me@host:5432/minima"):
        assert without_password(name) == name


def test_a_server_needs_its_package(monkeypatch):
    for name in ("ase_db_backends", "ase_db_backends.postgresql"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="postgresql"):
        MinimaDatabase("postgresql://me:secret@host:5432/minima")
