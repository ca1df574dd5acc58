"""The run folder: everything that one `synthesize` command wrote. No other code knows its file names."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.conditioning.heart import StackSample
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.data.declaration import DECLARATION, write_declaration
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.layouts.find import find_cases
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, is_owned, manifest_of
from lgesynthnet.files.writing import remove_file, write_bytes
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.records import Labels, OnCase
from lgesynthnet.run.ledger import STACKS_TABLE, TABLE, Ledger
from lgesynthnet.run.plan import SynthesisPlan, scar_of_hosts
from lgesynthnet.run.pseudonyms import TABLE as PSEUDONYMS
from lgesynthnet.run.pseudonyms import number_patients, pseudonym_table, read_pseudonyms
from lgesynthnet.run.sample_files import (
    ENDING,
    EVERY_PART,
    IMAGES,
    PARTS,
    REMOVED,
    TWIN,
    StoredSample,
    Twin,
    folder_of,
    path_of,
    read_sample,
    write_sample,
    write_stack_sample,
)
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.tables import original_cell
from lgesynthnet.terms import Edit

PLAN = "plan.json"
REPORT = "report.html"
DATA_CARD = "card.md"
EVALUATION = "evaluation"
HOSTS_CACHE = "hosts.json"
CELL_LIMIT = 2**20  # characters; a caption or a prescription is far shorter, and a longer cell is no file of ours


AnyRow = TypeVar("AnyRow", SampleRow, StackRow)


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, finished or not."""
    return os.path.isfile(path / PLAN)  # also where the path is too long


@dataclass(frozen=True)
class RunFolder:
    """One run, finished or not.

    >>> run = RunFolder.open(Path("runs/first"))
    >>> kept = [run.sample(row) for row in run.rows if row.kept]

    Attributes:
        path: the folder.
        plan: what the run was asked to do.
    """

    path: Path
    plan: SynthesisPlan

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a run to read it.

        Raises:
            RunError: the folder holds no plan, or one that this version cannot read.
        """
        if not is_run(path):
            raise RunError(f"{path}: is not a run folder (it has no {PLAN}); give the folder that `lgesynthnet synthesize --out` wrote")
        return cls(path, SynthesisPlan.read(path / PLAN))

    @classmethod
    @contextmanager
    def begin(cls, path: Path, plan: SynthesisPlan) -> Iterator[RunFolder]:
        """Make a run folder, or continue one of the same plan, and hold it for as long as the block runs.

        Raises:
            RunError: another process holds the folder; it holds other things or another plan; or it is read-only or full.
        """
        if is_owned(path, FolderKind.RUN):  # before the list says that a command is at work here
            _require_same_plan(path, plan)
        with claimed(path, FolderKind.RUN):
            _require_same_plan(path, plan)
            write_bytes(path / PLAN, (plan.to_json() + "\n").encode())
            if not (path / DECLARATION).exists():
                write_declaration(path, labels="lgesynthnet")
            yield cls(path, plan)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing into the run while the block adds pages or an evaluation.

        Raises:
            RunError: another process is writing to it, or it cannot be written into, as where version 0.1.0 made it.
        """
        with claimed(self.path, FolderKind.RUN, finishes=False):
            yield

    @property
    def is_finished(self) -> bool:
        """Whether the command that paints the run has ended; True where version 0.1.0 kept no list that could say so."""
        return not is_owned(self.path) or manifest_of(self.path).finished

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def report(self) -> Path:
        return self.path / REPORT

    @property
    def data_card(self) -> Path:
        return self.path / DATA_CARD

    @property
    def table(self) -> Path:
        return self.path / TABLE

    @property
    def command(self) -> str:
        """The command that makes this run again."""
        return self.plan.command(self.path)

    @property
    def shared_command(self) -> str:
        """The same command with words such as HOSTS in place of paths and names, for pages that are shared."""
        return self.plan.shared_command()

    def evaluation(self, name: str) -> Path:
        """Where a file of an evaluation stands."""
        return self.path / EVALUATION / name

    @cached_property
    def rows(self) -> tuple[SampleRow, ...]:
        """Every attempt in order, as `samples.csv` holds it; of a run of stacks, every painted slice.

        Raises:
            RunError: the table is missing, or is no table of samples.
        """
        return tuple(read_rows(self.table, SampleRow.of_cells))

    @property
    def of_stacks(self) -> bool:
        """Whether the attempts are whole hearts."""
        return self.plan.request.stacks

    @cached_property
    def stacks(self) -> tuple[StackRow, ...]:
        """Every attempt of a run of stacks in order, as `stacks.csv` holds it; empty for a run of slices.

        Raises:
            RunError: the table is missing, or is no table of stacks.
        """
        return tuple(read_rows(self.path / STACKS_TABLE, StackRow.of_cells)) if self.of_stacks else ()

    @property
    def attempts(self) -> tuple[SampleRow, ...] | tuple[StackRow, ...]:
        """Every attempt, a slice or a whole heart."""
        return self.stacks if self.of_stacks else self.rows

    def painted_stacks(self, *, kept_only: bool = True) -> list[StackRow]:
        """The stacks that have files: those that the filter kept, or all.

        Raises:
            RunError: there is none, or the run is one of slices; or see `stacks`.
        """
        if not self.of_stacks:
            raise RunError(f"{self.path}: holds slices and no stacks; make a run with `lgesynthnet synthesize --stacks`")
        return self._painted(self.stacks, kept_only=kept_only)

    def painted(self, *, kept_only: bool = True) -> list[SampleRow]:
        """The rows that have files: those that the filter kept, or all.

        Raises:
            RunError: there is none; or see `rows`.
        """
        return self._painted(self.rows, kept_only=kept_only)

    def _painted(self, rows: Iterable[AnyRow], *, kept_only: bool) -> list[AnyRow]:
        chosen = [row for row in rows if row.file and (row.kept or not kept_only)]
        if not chosen:
            hint = "--all also takes the rejected samples" if kept_only else "nothing could be painted"
            raise RunError(f"{self.path}: holds no sample to use; {hint}")
        return chosen

    @cached_property
    def host_files(self) -> dict[str, CaseFiles]:
        """Patient -> files of the hosts; empty where the folder of the hosts is gone, which only costs their pictures."""
        try:
            return {case.patient: case for case in find_cases(self.plan.request.hosts.root).cases}
        except InputError:
            return {}

    def hosts(self, moved_to: Path | None = None, on_case: OnCase | None = None) -> HostPool:
        """The slices that the run painted into, read again.

        Args:
            moved_to: the folder of the hosts now; None takes the folder that the run named.
            on_case: gets (done, total) after each case.
        Raises:
            InputError: the folder is gone, or holds no cases.
            RunError: the hosts are not the same as they were.
        """
        source = self.plan.hosts(moved_to)
        if not source.root.exists():
            raise InputError(f"{source.root}: the hosts of the run are not there any more; give their folder with --hosts")
        request = self.plan.request
        pool = find_hosts(
            source.open(),
            **scar_of_hosts(request, self.plan.prescriptions),
            least_confidence=request.least_orientation_confidence,
            on_case=on_case,
            cache=self.path / HOSTS_CACHE,
        )
        if pool.fingerprint != self.plan.hosts_fingerprint:
            raise RunError(
                f"{source.root}: these are not the hosts that the run painted into ({self.plan.hosts_fingerprint}, now "
                f"{pool.fingerprint}); give the folder as it was with --hosts"
            )
        return pool

    def pseudonyms(self, patients: Iterable[str]) -> dict[str, str]:
        """Patient -> pseudonym, for these patients and at first for all of the folder of the hosts.

        `pseudonyms.csv` keeps them, so that a patient has one pseudonym in all that is made of the run; it is written where it lacks one.

        Raises:
            RunError: the table is damaged or lacks a patient and cannot be written.
        """
        table = self.path / PSEUDONYMS
        known = read_pseudonyms(table) if os.path.lexists(table) else {}
        named = set(patients)
        if named <= known.keys():
            return known
        if not known:
            named |= self.host_files.keys()
        pseudonyms = number_patients(named, self.plan.hosts_fingerprint, known)
        with self.held():
            write_bytes(table, pseudonym_table(pseudonyms).encode())
        return pseudonyms

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that every painted sample has, see `sample_files`."""
        removed = () if self.plan.edits == {Edit.ADD} else (REMOVED,)
        return (*PARTS, *removed, *(TWIN if self.plan.request.twins else ()))

    def image(self, row: SampleRow | StackRow) -> Path:
        """The image file of a painted sample."""
        return self.path / row.file

    def index_in_file(self, row: SampleRow) -> int:
        """Which slice of its files a painted slice is."""
        return 0 if row.stack is None else row.slice_index

    def part(self, row: SampleRow | StackRow, part: str) -> Path:
        """The file of one part of a painted sample, see `parts`."""
        return path_of(self.image(row), part)

    def sample(self, row: SampleRow) -> StoredSample:
        """A painted sample, read back in the radiological view.

        Raises:
            RunError: one of its files is missing, damaged, or lies on another grid.
        """
        flip = self.plan.request.hosts.mirrored
        return read_sample(self.image(row), row.host, index=self.index_in_file(row), flip=flip, parts=self.parts)

    def store(self, sample: SyntheticSample, read: Labels, sample_id: str, *, kept: bool, twin: Twin | None = None) -> str:
        """Write the files of a sample; returns the image's path relative to the folder.

        Args:
            read: (rows, cols), what the filter detected.
            twin: where twins were asked for.
        Raises:
            RunError: the folder is read-only or the disk is full.
        """
        folder = folder_of(kept=kept, keep_all=self.plan.request.keep_all)
        write_sample(sample, read, self.path / folder, sample_id, parts=self.parts, twin=twin)
        return (folder / IMAGES / f"{sample_id}{ENDING}").as_posix()

    def store_stack(
        self, sample: StackSample, read: UInt8[np.ndarray, "rows cols slices"], sample_id: str, *, kept: bool, twin: Twin | None = None
    ) -> str:
        """Write the files of a painted stack, as `store` writes those of a slice.

        Raises:
            RunError, InputError: see `write_stack_sample`.
        """
        folder = folder_of(kept=kept, keep_all=self.plan.request.keep_all)
        write_stack_sample(sample, read, self.path / folder, sample_id, parts=self.parts, twin=twin)
        return (folder / IMAGES / f"{sample_id}{ENDING}").as_posix()

    def ledger(self) -> Ledger:
        """The ledger, opened for writing; only inside `begin`."""
        return Ledger(self.path, self.plan.hash, of_stacks=self.of_stacks)

    def damaged(self, ledger: Ledger) -> dict[int, str]:
        """Attempts whose files are not as they were written, with what is wrong; each file is read once."""
        manifest = manifest_of(self.path)
        found: dict[int, str] = {}
        for k, image in ledger.painted().values():
            for part in self.parts:
                name = path_of(Path(image), part).as_posix()
                if (fault := manifest.fault_of(name)) is not None:
                    found[k] = f"{name} {fault}"
                    break
        return found

    def remove_unrecorded(self, ledger: Ledger) -> None:
        """Remove the files of samples that a killed process had written but not yet recorded: without a row there is no sample."""
        recorded = {path_of(Path(image), part).as_posix() for _, image in ledger.painted().values() for part in self.parts}
        for name in sorted(manifest_of(self.path).files.keys() - recorded):
            if Path(name).parent.name in EVERY_PART and _SAMPLE.fullmatch(Path(name).name):
                remove_file(self.path / name)


_SAMPLE = re.compile(r"s\d+_\d{6,}\.nii\.gz")


def _require_same_plan(path: Path, plan: SynthesisPlan) -> None:
    if (path / PLAN).exists() and (difference := SynthesisPlan.read(path / PLAN).difference(plan)) is not None:
        raise RunError(f"{path}: this run was begun with another plan: {difference}; choose another --out, or move the folder away")


def read_rows(table: Path, row_of: Callable[[Mapping[str, Any]], AnyRow]) -> Iterator[AnyRow]:
    """The rows of a `samples.csv` or a `stacks.csv`.

    Raises:
        RunError: the file is missing, or is no table of samples.
    """
    csv.field_size_limit(CELL_LIMIT)
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            for cells in csv.DictReader(lines):
                yield row_of({name: original_cell(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    except OSError as fault:
        raise RunError(f"{table}: cannot be read ({fault.strerror}); give the folder that `lgesynthnet synthesize --out` wrote") from None
    except (csv.Error, UnicodeDecodeError) as fault:
        raise RunError(f"{table}: is not a table of samples ({fault})") from None
    except ValueError as fault:
        raise RunError(f"{table}: a row cannot be read ({fault}); was the file edited?") from None
