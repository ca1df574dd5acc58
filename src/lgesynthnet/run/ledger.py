"""What was attempted: one row an attempt, entered after its files are on the disk. The table `samples.csv` is only a print of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from lgesynthnet.errors import RunError
from lgesynthnet.files.writing import will_grow, write_bytes
from lgesynthnet.run.sample_row import COLUMNS, SampleRow, sql_type
from lgesynthnet.tables import csv_text

LEDGER = "ledger.sqlite"
TABLE = "samples.csv"


class Ledger:
    """The open ledger of one run folder, for one process at a time (see `lock.locked`).

    Raises:
        RunError: from every method, where the disk is full or read-only, or the file is damaged.
    """

    def __init__(self, run: Path, plan_hash: str) -> None:
        self.path = run / LEDGER
        columns = ", ".join(f'"{name}" {sql_type(name)}' for name in COLUMNS)
        will_grow(self.path)
        with self._guarded():
            self._connection = sqlite3.connect(self.path, isolation_level=None)
        with self._guarded(), self._transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS attempts (k INTEGER PRIMARY KEY, {columns})")
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('plan_hash', ?)", (plan_hash,))
            (known,) = self._connection.execute("SELECT value FROM meta WHERE key = 'plan_hash'").fetchone()
            # SQLite takes the quoted name of a column that it does not know for a text, so the columns are compared here.
            present = tuple(name for _, name, *_ in self._connection.execute("PRAGMA table_info(attempts)"))
        if known != plan_hash:
            self.close()
            raise RunError(f"{self.path}: belongs to another plan than plan.json beside it; choose another --out")
        if present != ("k", *COLUMNS):
            self.close()
            unlike = sorted(set(present) ^ {"k", *COLUMNS})
            raise RunError(f"{self.path}: was written by another version, whose columns differ ({', '.join(unlike)}); choose another --out")

    def close(self) -> None:
        self._connection.close()

    def attempted(self) -> set[int]:
        """Numbers of the attempts that are done."""
        with self._guarded():
            return {k for (k,) in self._connection.execute("SELECT k FROM attempts")}

    def kept(self) -> set[int]:
        """Numbers of the attempts whose verdict is "kept"."""
        with self._guarded():
            return {k for (k,) in self._connection.execute("SELECT k FROM attempts WHERE kept")}

    def painted(self) -> dict[str, tuple[int, str]]:
        """Id -> number of the attempt and file of the image, for the samples that have files."""
        with self._guarded():
            return {name: (k, file) for k, name, file in self._connection.execute("SELECT k, id, file FROM attempts WHERE file <> ''")}

    def counted(self, *, keep_all: bool = False) -> set[int]:
        """Numbers of the samples that count towards the quota: the kept ones, or every painted one with `keep_all`."""
        where = "file <> ''" if keep_all else "kept"
        with self._guarded():
            return {k for (k,) in self._connection.execute(f"SELECT k FROM attempts WHERE {where}")}

    def reasons(self) -> dict[str, int]:
        """How often each reason came up, most frequent first."""
        with self._guarded():
            return dict(self._connection.execute("SELECT reason, count(*) FROM attempts GROUP BY reason ORDER BY count(*) DESC, reason"))

    def record(self, rows: Mapping[int, SampleRow]) -> None:
        """Enter attempts by their numbers, all or none; their files must be on the disk already. An attempt made again replaces its row."""
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        values = [(k, *row.cells().values()) for k, row in rows.items()]
        with self._guarded(), self._transaction():
            self._connection.executemany(f"INSERT OR REPLACE INTO attempts VALUES ({marks})", values)

    def write_table(self, run: Path) -> Path:
        """Write `samples.csv` out of the ledger, in the order of the attempts; returns its path."""
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        with self._guarded():
            rows = self._connection.execute(f"SELECT {names} FROM attempts ORDER BY k").fetchall()
        write_bytes(run / TABLE, csv_text(COLUMNS, rows).encode("utf-8"))
        return run / TABLE

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as fault:
            raise RunError(f"{self.path}: {fault}; free space or choose a writable --out, then the same command continues") from None
        except sqlite3.Error as fault:
            remedy = "delete this file, and the same command makes the run again, with equal samples"
            raise RunError(f"{self.path}: is damaged ({fault}); {remedy}") from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk has rolled it back already
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def check_ledger(path: Path, plan_hash: str, ids: list[str]) -> Iterator[str]:
    """What is wrong with a ledger that nobody writes to, one sentence each; nothing is changed.

    Args:
        ids: the samples of the table beside it, in order.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            (state,) = connection.execute("PRAGMA quick_check").fetchone()
            (known,) = connection.execute("SELECT value FROM meta WHERE key = 'plan_hash'").fetchone()
            entered = [name for (name,) in connection.execute("SELECT id FROM attempts ORDER BY k")]
    except (sqlite3.Error, TypeError) as fault:
        yield f"{path}: cannot be read ({fault}); delete it, and the command below makes the run again, with equal samples"
        return
    if state != "ok":
        yield f"{path}: is damaged ({state}); delete it, and the command below makes the run again, with equal samples"
    if known != plan_hash:
        yield f"{path}: belongs to another plan than plan.json beside it"
    if entered != ids:
        yield f"{path.with_name(TABLE)}: lists {len(ids)} samples where the ledger holds {len(entered)}, or lists others"
