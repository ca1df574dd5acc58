"""What was attempted: one row an attempt, committed after its files are on disk. The table `samples.csv` is only a print of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lgesynthnet.errors import RunError
from lgesynthnet.files.writing import write_bytes
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
        with self._guarded():
            self._connection = sqlite3.connect(self.path, isolation_level=None)
        with self._guarded(), self._transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS attempts (k INTEGER PRIMARY KEY, {columns})")
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('plan_hash', ?)", (plan_hash,))
            (known,) = self._connection.execute("SELECT value FROM meta WHERE key = 'plan_hash'").fetchone()
        if known != plan_hash:
            self.close()
            raise RunError(f"{self.path}: belongs to another plan than plan.json beside it; choose another --out")

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

    def ids(self) -> set[str]:
        """Ids of the samples that have a row."""
        with self._guarded():
            return {name for (name,) in self._connection.execute("SELECT id FROM attempts")}

    def count(self, *, keep_all: bool = False) -> int:
        """Samples that count towards the quota: the kept ones, or every painted one with `keep_all`."""
        where = "file <> ''" if keep_all else "kept"
        with self._guarded():
            return int(self._connection.execute(f"SELECT count(*) FROM attempts WHERE {where}").fetchone()[0])

    def reasons(self) -> dict[str, int]:
        """How often each reason came up, most frequent first."""
        with self._guarded():
            return dict(self._connection.execute("SELECT reason, count(*) FROM attempts GROUP BY reason ORDER BY count(*) DESC, reason"))

    def record(self, k: int, row: SampleRow) -> None:
        """Add attempt `k` in one transaction; its files must be on disk already."""
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        with self._guarded(), self._transaction():
            self._connection.execute(f"INSERT INTO attempts VALUES ({marks})", (k, *row.cells().values()))

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
        except sqlite3.Error as fault:
            raise RunError(f"{self.path}: {fault}; free space or choose a writable --out, then the same command continues") from None

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
