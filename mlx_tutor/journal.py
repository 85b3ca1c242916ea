"""The journal of a course: `corpora/<course>/journal.sqlite`, what its users made, which no command deletes.

Ratings, thumbs, quiz answers and exam logs; each feature owns its tables. Open it for one piece of work and close
it again, so that a terminal and a web page can share it.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mlx_tutor.errors import CorpusError
from mlx_tutor.workspace import Course

# How long to wait for another process that is writing, in seconds.
BUSY_SECONDS = 5.0


def find_journal(course: Course) -> Path:
    """The path of a course's journal."""
    return course.root / "journal.sqlite"


@contextmanager
def open_journal(
    course: Course,
    schema: str,
    busy_seconds: float | None = None,
    upgrade: Callable[[sqlite3.Connection], None] = lambda connection: None,
) -> Iterator[sqlite3.Connection]:
    """The journal, with the tables of `schema` (`CREATE TABLE IF NOT EXISTS ...`); commits at the end of the block.

    What the block wrote is rolled back when it raises. Another writer is waited for, `BUSY_SECONDS` by default.
    `upgrade` changes tables that an earlier version of the program made, by `begin_upgrade`.

    Raises:
        CorpusError: locked by another process, damaged, read-only, or the disk is full.
    """
    path, patience = find_journal(course), BUSY_SECONDS if busy_seconds is None else busy_seconds
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=patience)) as connection:
            connection.row_factory = sqlite3.Row
            connection.executescript(schema)
            with connection:
                upgrade(connection)
                yield connection
    except sqlite3.DatabaseError as err:
        raise CorpusError(f"{path}: {_explain(err)}") from err
    except OSError as err:
        raise CorpusError(f"{path} cannot be opened: {err.strerror}.") from err


def begin_upgrade(journal: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a table lacks a column that it should have; then nobody else writes until the block ends."""

    def lacks() -> bool:
        return column not in [row["name"] for row in journal.execute(f"PRAGMA table_info({table})")]

    if not lacks():
        return False
    journal.execute("BEGIN IMMEDIATE")
    # Another program may have been faster.
    return lacks()


def _explain(err: sqlite3.DatabaseError) -> str:
    name = getattr(err, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "another program is writing to it. Close that one, or try again."
    if name.startswith("SQLITE_FULL"):
        return "the disk is full; nothing was written. Make room and try again."
    if name.startswith("SQLITE_READONLY"):
        return "it is read-only. Allow writing to it and to its folder."
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return "it is damaged. It was left as it is; move it away to begin a new one."
    return f"{err}."
