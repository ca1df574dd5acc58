"""What was attempted: one row an attempt, entered after its files are on the disk. The tables are only a print of it.

An attempt is a slice, or a whole heart; a heart has the rows of its slices, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from lgesynthnet.errors import RunError
from lgesynthnet.files.writing import will_grow, write_bytes
from lgesynthnet.run.cells import Row
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.tables import csv_text

LEDGER = "ledger.sqlite"
TABLE, STACKS_TABLE = "samples.csv", "stacks.csv"


class Ledger:
    """The open ledger of one run folder, for one process at a time (see `lock.locked`).

    Args:
        of_stacks: whether an attempt is a whole heart.
    Raises:
        RunError: from every method, where the disk is full or read-only, or the file is damaged.
    """

    def __init__(self, run: Path, plan_hash: str, *, of_stacks: bool = False) -> None:
        self.path = run / LEDGER
        self.of_stacks = of_stacks
        self._kind: type[Row] = StackRow if of_stacks else SampleRow
        will_grow(self.path)
        with self._guarded():
            self._connection = sqlite3.connect(self.path, isolation_level=None)
        with self._guarded(), self._transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS attempts (k INTEGER PRIMARY KEY, {_columns(self._kind)})")
            if of_stacks:
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS slices (k INTEGER NOT NULL, {_columns(SampleRow)})")
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('plan_hash', ?)", (plan_hash,))
            (known,) = self._connection.execute("SELECT value FROM meta WHERE key = 'plan_hash'").fetchone()
            # SQLite takes the quoted name of a column that it does not know for a text, so the columns are compared here.
            present = tuple(name for _, name, *_ in self._connection.execute("PRAGMA table_info(attempts)"))
        if known != plan_hash:
            self.close()
            raise RunError(f"{self.path}: belongs to another plan than plan.json beside it; choose another --out")
        if present != ("k", *self._kind.columns()):
            self.close()
            unlike = sorted(set(present) ^ {"k", *self._kind.columns()})
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

    def record(self, rows: Mapping[int, Row], slices: Mapping[int, Sequence[SampleRow]] | None = None) -> None:
        """Enter attempts by their numbers, all or none; their files must be on the disk already. An attempt made again replaces its row.

        Args:
            slices: of attempts at whole hearts, the rows of the painted slices.
        """
        with self._guarded(), self._transaction():
            self._connection.executemany(_insert("attempts", self._kind), [(k, *row.cells().values()) for k, row in rows.items()])
            if self.of_stacks:
                self._connection.executemany("DELETE FROM slices WHERE k = ?", [(k,) for k in rows])
                values = [(k, *row.cells().values()) for k, of_stack in (slices or {}).items() for row in of_stack]
                self._connection.executemany(_insert("slices", SampleRow), values)

    def write_tables(self, run: Path) -> None:
        """Write `samples.csv` out of the ledger, in the order of the attempts; and `stacks.csv`, where they are whole hearts."""
        self._write_table(run / (STACKS_TABLE if self.of_stacks else TABLE), "attempts", self._kind, "k")
        if self.of_stacks:
            self._write_table(run / TABLE, "slices", SampleRow, "k, slice_index")

    def _write_table(self, path: Path, table: str, kind: type[Row], order: str) -> None:
        names = ", ".join(f'"{name}"' for name in kind.columns())
        with self._guarded():
            rows = self._connection.execute(f"SELECT {names} FROM {table} ORDER BY {order}").fetchall()
        write_bytes(path, csv_text(kind.columns(), rows).encode("utf-8"))

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


def _columns(kind: type[Row]) -> str:
    return ", ".join(f'"{name}" {kind.sql_type(name)}' for name in kind.columns())


def _insert(table: str, kind: type[Row]) -> str:
    marks = ", ".join("?" * (len(kind.columns()) + 1))
    return f"INSERT OR REPLACE INTO {table} VALUES ({marks})"


def check_ledger(path: Path, plan_hash: str, ids: list[str], *, table: str = TABLE) -> Iterator[str]:
    """What is wrong with a ledger that nobody writes to, one sentence each; nothing is changed.

    Args:
        ids: the attempts of the table beside it, in order.
        table: name of that table.
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
        yield f"{path.with_name(table)}: lists {len(ids)} samples where the ledger holds {len(entered)}, or lists others"
