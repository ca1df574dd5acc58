"""What was tried, one row an attempt, committed after its files stand. The table of samples is only a print of it."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from lgesynthnet.errors import RunError
from lgesynthnet.files import write_bytes

LEDGER, TABLE = "ledger.sqlite", "samples.csv"
_SQL_TYPE = {"str": "TEXT", "str | None": "TEXT", "int": "INTEGER", "bool": "INTEGER"}  # all others are REAL


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One row of the ledger and of `samples.csv`; None where a number is not defined, an empty field in the table.

    Attributes:
        id: `s<run seed>_<attempt number>`; the same id has the same bytes in any run of the same plan, however sharded.
        host, slice: patient and index in the host file's own order.
        level, level_source: basal, mid or apical, and how base and apex were told apart: given, areas or assumed.
        insertion_source, insertion_confidence: how the RV insertions were found.
        model, reader: fingerprints of generator and filter.
        seed: of the noise; the prescription holds its own.
        caption, sentence, prescription: what the model read, the same in full words, the same as JSON.
        file: the image, relative to the run folder; empty where nothing could be painted.
        kept: 1 where the verdict is "kept", whatever folder the files are in.
        reason: of the verdict, or "unpaintable".
        why: the verdict as a sentence, or what stood against painting.
        dice, recall, precision: 0 to 1.
        threshold: the Dice that had to be exceeded.
        intended_mm2, read_mm2, stray_mm2: areas.
        segment_agreement, extent_error, brightness, spill_mm2, seam: what the filter looked at beside the Dice; see `quality.Verdict`.
        segments, transmurality, burden, mvo_share: measured in the intended mask; segments separated by blanks.
        max_change_outside: largest difference to the host outside the hidden region, stored numbers.
        seconds: to paint, read and judge.
    """

    id: str
    host: str
    slice: int
    level: str
    level_source: str
    insertion_source: str
    insertion_confidence: float
    model: str
    reader: str
    seed: int
    caption: str
    sentence: str
    prescription: str
    file: str
    kept: bool
    reason: str
    why: str
    dice: float | None = None
    recall: float | None = None
    precision: float | None = None
    threshold: float | None = None
    intended_mm2: float | None = None
    read_mm2: float | None = None
    stray_mm2: float | None = None
    segment_agreement: float | None = None
    extent_error: float | None = None
    brightness: float | None = None
    spill_mm2: float | None = None
    seam: float | None = None
    segments: str | None = None
    transmurality: float | None = None
    burden: float | None = None
    mvo_share: float | None = None
    max_change_outside: float | None = None
    seconds: float | None = None


COLUMNS = tuple(field.name for field in fields(Attempt))
UNPAINTABLE = "unpaintable"


class Ledger:
    """The open ledger of one run folder; one process at a time, see `lock.locked`.

    Raises:
        RunError: from every method, where the disk is full or read-only, or the file is damaged.
    """

    def __init__(self, run: Path, plan_hash: str) -> None:
        self.path = run / LEDGER
        columns = ", ".join(f'"{field.name}" {_SQL_TYPE.get(str(field.type), "REAL")}' for field in fields(Attempt))
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
        """Ids of the samples that are entered."""
        with self._guarded():
            return {name for (name,) in self._connection.execute("SELECT id FROM attempts")}

    def count(self, *, keep_all: bool = False) -> int:
        """Samples that count towards the quota: the kept ones, or with `keep_all` every painted one."""
        where = "file <> ''" if keep_all else "kept"
        with self._guarded():
            return int(self._connection.execute(f"SELECT count(*) FROM attempts WHERE {where}").fetchone()[0])

    def reasons(self) -> dict[str, int]:
        """How often each reason came up, most frequent first."""
        with self._guarded():
            return dict(self._connection.execute("SELECT reason, count(*) FROM attempts GROUP BY reason ORDER BY count(*) DESC, reason"))

    def record(self, k: int, attempt: Attempt) -> None:
        """Add one attempt in one transaction; its files must stand already."""
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        with self._guarded(), self._transaction():
            self._connection.execute(f"INSERT INTO attempts VALUES ({marks})", (k, *astuple(attempt)))

    def write_table(self, run: Path) -> Path:
        """Write `samples.csv` out of the ledger, in the order of the attempts; returns its path."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        with self._guarded():
            table.writerows(self._connection.execute(f"SELECT {names} FROM attempts ORDER BY k"))
        write_bytes(run / TABLE, text.getvalue().encode("utf-8"))
        return run / TABLE

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise RunError(f"{self.path}: {fault}; free space or choose a writable --out, then the same command resumes") from None

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
