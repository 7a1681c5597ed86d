"""Which databases can hold minima, does this one answer, and may it be written? SQLite files, servers by their URL."""

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ase.db import connect

from so3lab.machine.files import check_writable

ATTEMPTS, WAIT_S = 50, 0.1
"""How long to wait while another process makes the tables."""


def connected(where: str) -> Any:
    """A database of ASE that answers, with its tables.

    Args:
        where: A file name that ends in ``.db``, or a URL that :func:`ase.db.connect` takes.

    Raises:
        ValueError: If the name is none of a database, the file is none, or no server answers.
        ImportError: If the package for servers is missing.
        OSError: As :func:`check_name` says.
    """
    check_name(where)
    try:
        database = connect(where, use_lock_file=False)
    except ModuleNotFoundError:
        raise ImportError(
            'databases on servers need ase-db-backends; install it with: pip install "so3lab[postgresql]"'
        ) from None
    except ValueError as error:
        raise ValueError(
            "a database of minima on a server has a URL that ase.db takes, such as postgresql://USER@HOST/NAME, got "
            f"{without_password(where)!r} ({error})"
        ) from None
    # a database of minima has no tables of its own; asking for their names would cost a query for each row
    database._get_external_table_names = lambda db_con=None: []
    if database.type == "postgresql":
        _mend(database)
    _make_tables(database, without_password(where))
    return database


def check_name(where: str) -> None:
    """Refuse a name under which there is no database of minima and none can begin.

    Raises:
        ValueError: If it is none of a database.
        FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError: As
            :func:`so3lab.machine.files.check_writable` says of a new file.
    """
    if "://" in where:
        return
    if not where.endswith(".db"):
        raise ValueError(f"a database of minima must be a file whose name ends in .db, or a URL, got {where!r}")
    if not Path(where).is_file():
        check_writable(Path(where))


def check_database_writable(where: str) -> None:
    """Refuse a database that is there and takes nothing more, before work is done for it; of servers nothing is asked.

    Raises:
        PermissionError: If the file may not be written, or no journal beside it, without which SQLite writes nothing.
    """
    if "://" not in where:
        check_writable(Path(where))


@contextlib.contextmanager
def transaction(database: Any, name: str) -> Iterator[Any]:
    """Write all of a block or, whatever happens, nothing; the database is ready for the next one after that.

    Args:
        database: Of ASE.
        name: As it may be shown.

    Raises:
        OSError: If the database cannot be written: its disk is full, another process holds it for long.
    """
    try:
        with database:
            yield database
    except BaseException as error:  # an interrupt, too: one that comes while a transaction ends leaves it open
        _abandon(database)
        if isinstance(error, Exception) and _is_of_a_database(error):
            raise OSError(
                f"{name} cannot be written ({error}); what had been stored before is safe, and is gone on from once "
                "it can be"
            ) from error
        raise


def _abandon(database: Any) -> None:
    """Undo a transaction that has not ended."""
    connection, database.connection = database.connection, None
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.rollback()
        with contextlib.suppress(Exception):
            connection.close()


def without_password(where: str) -> str:
    """A name that may be shown: no password before the host, whatever signs it has, and none among the parameters."""
    before_host = re.sub(r"(://[^:/@?#]*):[^?#]*@", r"\1@", where)
    return re.sub(r"([?&]\w*(?:password|passwd|pwd)=)[^&#]*", r"\1***", before_host, flags=re.IGNORECASE)


def _mend(database: Any) -> None:
    """What ase-db-backends 0.11 does wrong when several write.

    It takes the last number that anybody was given for that of the row that it has just written, and cannot undo a
    transaction that fails.
    """
    begin = database._connect

    def begin_with_rollback() -> Any:
        connection = begin()
        connection.rollback = connection.con.rollback
        return connection

    def own_last_id(cursor: Any) -> int:
        cursor.execute("SELECT currval('systems_id_seq')")
        return int(cursor.fetchone()[0])

    database._connect, database.get_last_id = begin_with_rollback, own_last_id


def _make_tables(database: Any, name: str) -> None:
    """Make them; when another process is just doing so, wait for it."""
    for attempt in range(ATTEMPTS):
        try:
            database.count()
            return
        except Exception as error:
            if not _is_of_a_database(error):
                raise
            if not _is_passing(error) or attempt == ATTEMPTS - 1:
                raise ValueError(f"{name} cannot be used as a database of minima: {error}") from error
            time.sleep(WAIT_S)


def _is_of_a_database(error: Exception) -> bool:
    """Whether SQLite or a server says so; drivers of servers have classes of their own, by the names of PEP 249."""
    return isinstance(error, sqlite3.DatabaseError) or "DatabaseError" in {
        kind.__name__ for kind in type(error).__mro__
    }


def _is_passing(error: Exception) -> bool:
    """Whether tables are being made: a SQLite file is locked then, and a server says that they are there already."""
    if isinstance(error, sqlite3.DatabaseError):
        return isinstance(error, sqlite3.OperationalError)
    return not {"OperationalError", "NotSupportedError"} & {kind.__name__ for kind in type(error).__mro__}
