"""Check a whole folder before anything is computed on it: broken files, unusual values, and scans that are in it twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from lgesynthnet.anatomy.orientation import order_stack
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.duplicates import Duplicate, Thumbnail, find_duplicates, heart_radius_px, make_thumbnail
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.ring import Fault
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.hosts.describing import describe_orientation, order_conflict
from lgesynthnet.hosts.familiarity import strangeness_of
from lgesynthnet.hosts.locate import LocatedStack, locate_stack
from lgesynthnet.hosts.reading import each_case
from lgesynthnet.hosts.suitability import find_host_fault, find_orientation_fault
from lgesynthnet.records import Label, OnCase, Stack, scar_of, wall_of
from lgesynthnet.terms import LEAST_ORIENTATION_CONFIDENCE

UNUSUAL_BURDEN = 0.6  # share of the wall of a whole heart; the largest infarcts of patients stay below


class Severity(StrEnum):
    """An error means that a case cannot be used as it is. A warning points to a slice that is left out, or to an unusual value."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem: where it is, and what to do.

    Attributes:
        slice_index: None where the problem concerns the whole case.
        kind: a word that the same problem of other patients has, too; None where it is never put into one line with theirs.
    """

    severity: Severity
    patient: str
    slice_index: int | None
    message: str
    kind: str | None = None

    def __str__(self) -> str:
        place = self.patient if self.slice_index is None else f"{self.patient} slice {self.slice_index}"
        return f"{self.severity}: {place}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class CaseReport:
    """The result for one patient.

    Attributes:
        slices: number of slices; 0 for a case that cannot be read.
        usable: indices of the slices that can be used: a scar can be painted into them.
        uncertain: indices of the slices that could be used if their heart were oriented well enough.
        with_scar: indices of the usable slices that hold scar.
        spacing_mm: pixel size in mm as (row, column); None for a case that cannot be read.
        stacks: table of the patient's DICOM stacks, one line each; empty for NIfTI.
        orientation: where the view, the order of the slices and the RV insertions came from, in words; None for a case that cannot be read.
    """

    patient: str
    slices: int = 0
    usable: tuple[int, ...] = ()
    uncertain: tuple[int, ...] = ()
    with_scar: tuple[int, ...] = ()
    spacing_mm: tuple[float, float] | None = None
    orientation: str | None = None
    problems: tuple[Problem, ...] = ()
    stacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.orientation is None:
            return f"{self.patient}: cannot be read"
        return f"{self.patient}: {len(self.usable)} of {self.slices} slices usable; {self.orientation}"


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """The result of `verify`.

    Attributes:
        folder_problems: concern the folder as a whole: missing partners, unused files and duplicates.
        quick: the RV insertions were not looked for, so slices whose orientation is uncertain are counted as usable.
    """

    root: Path
    layout: str
    cases: tuple[CaseReport, ...]
    duplicates: tuple[Duplicate, ...]
    quick: bool = False
    folder_problems: tuple[Problem, ...] = field(default=())

    @property
    def problems(self) -> list[Problem]:
        """All problems, of the folder first and then of each case."""
        return [*self.folder_problems, *(problem for case in self.cases for problem in case.problems)]

    def count(self, severity: Severity) -> int:
        """Number of problems of one severity."""
        return sum(problem.severity is severity for problem in self.problems)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of cases, slices, usable slices, usable slices with scar, errors, warnings and duplicate pairs."""
        return {
            "cases": len(self.cases),
            "slices": sum(case.slices for case in self.cases),
            "usable": sum(len(case.usable) for case in self.cases),
            "with_scar": sum(len(case.with_scar) for case in self.cases),
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "duplicates": len(self.duplicates),
        }

    def record(self) -> dict[str, Any]:
        """The whole report, as JSON holds it."""
        whole = {"root": str(self.root), "layout": self.layout, "quick": self.quick, "counts": self.counts}
        parts = {
            "cases": [asdict(case) for case in self.cases],
            "duplicates": [asdict(pair) for pair in self.duplicates],
            "folder_problems": [asdict(problem) for problem in self.folder_problems],
        }
        return {**whole, **parts}

    def lines(self) -> list[str]:
        """The report as lines of text: every problem, errors first, then how each case is oriented, then a summary."""
        ordered = sorted(self.problems, key=lambda problem: problem.severity is not Severity.ERROR)
        n = self.counts
        return [
            *_problem_lines(ordered),
            *(line for case in self.cases for line in (str(case), *(f"  {row}" for row in case.stacks))),
            *(["--quick left out the RV insertions: `lgesynthnet synthesize` may find fewer slices usable"] if self.quick else []),
            f"{self.root}: {_counted(n['cases'], 'case')}, {n['usable']} of {n['slices']} slices usable, "
            f"{n['with_scar']} of them with scar; {_counted(n['errors'], 'error')}, {_counted(n['warnings'], 'warning')}",
        ]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """A line for each problem; one line for those that several patients share."""
    patients: dict[str, list[str]] = {}
    for problem in problems:
        if problem.kind is not None:
            patients.setdefault(problem.kind, []).append(problem.patient)
    said: set[str] = set()
    for problem in problems:
        if problem.kind is None or len(patients[problem.kind]) == 1:
            yield str(problem)
        elif problem.kind not in said:
            said.add(problem.kind)
            names = patients[problem.kind]
            others = ", ".join(names[1:4]) + (" ..." if len(names) > 4 else "")
            yield f"{problem} (and so for {len(names) - 1} more: {others})"


OnStack = Callable[[Stack, LocatedStack | None, CaseReport], None]


def verify(
    cohort: Cohort,
    *,
    splits: Mapping[str, Sequence[str]] | None = None,
    least_confidence: float = LEAST_ORIENTATION_CONFIDENCE,
    quick: bool = False,
    on_case: OnCase | None = None,
    on_stack: OnStack | None = None,
) -> VerifyReport:
    """Read and check every case. Nothing is changed, and a broken case does not stop the check of the others.

    Args:
        splits: part -> patients. With it, a duplicate whose patients are in two parts is an error instead of a warning.
        least_confidence: slices whose RV insertions are less certain than this, 0 to 1, are not usable.
        quick: do not look for the RV insertions.
        on_case: called with (cases done, all cases) after each case, for a progress bar.
        on_stack: gets each stack that could be read, with its hearts and its report; with `quick` the hearts are None. It is called from
            several threads.
    """

    def check(files: CaseFiles) -> tuple[CaseReport, list[Thumbnail]]:
        try:
            stack = cohort.read(files)
            hearts = None if quick or all(find_host_fault(slice_) for slice_ in stack) else locate_stack(stack)
        except (InputError, AnatomyError) as fault:
            return CaseReport(patient=files.patient, problems=(_problem(Severity.ERROR, files.patient, None, str(fault)),)), []
        report = check_stack(stack, hearts, least_confidence)
        if on_stack is not None:
            on_stack(stack, hearts, report)
        return report, _thumbnails(stack, sorted((*report.usable, *report.uncertain)))

    cases: list[CaseReport] = []
    thumbnails: list[Thumbnail] = []
    for done, (report, of_case) in enumerate(each_case(cohort, check), start=1):
        cases.append(replace(report, stacks=_stacks_of(cohort, cohort.cases[done - 1])))
        thumbnails.extend(of_case)
        if on_case is not None:
            on_case(done, len(cohort.cases))
    duplicates = tuple(find_duplicates(thumbnails))
    missing = (_problem(Severity.ERROR, skipped.name, None, skipped.reason) for skipped in cohort.skipped)
    unused = _unused(cohort)
    twice = (_duplicate_problem(pair, splits or {}) for pair in duplicates)
    return VerifyReport(
        root=cohort.root,
        layout=cohort.layout.name.lower(),
        cases=tuple(cases),
        duplicates=duplicates,
        quick=quick,
        folder_problems=(*missing, *unused, *twice),
    )


def _stacks_of(cohort: Cohort, files: CaseFiles) -> tuple[str, ...]:
    try:
        return tuple(cohort.describe(files))
    except InputError:  # the problem of the case says why
        return ()


def _unused(cohort: Cohort) -> list[Problem]:
    """One warning for each kind of file that no case uses."""
    kinds: dict[str, list[str]] = {}
    for entry in cohort.ignored:
        kinds.setdefault(entry.reason, []).append(entry.name)
    return [
        _problem(
            Severity.WARNING,
            cohort.root.resolve().name,
            None,
            f"{len(names)} {'is' if len(names) == 1 else 'are'} not used (first: {names[0]}): {reason}",
        )
        for reason, names in kinds.items()
    ]


def check_stack(stack: Stack, hearts: LocatedStack | None, least_confidence: float = LEAST_ORIENTATION_CONFIDENCE) -> CaseReport:
    """Check the slices of one patient one by one.

    Args:
        hearts: how they are oriented; None leaves that out.
    """
    conflict = order_conflict(stack, hearts.order if hearts is not None else order_stack(stack))
    noticed = [*stack.notes, *([conflict] if conflict is not None else [])]
    problems = [_problem(Severity.WARNING, stack.patient, None, note) for note in noticed]
    usable: list[int] = []
    uncertain: list[int] = []
    for slice_ in stack:
        fault = find_host_fault(slice_)
        if fault is None and hearts is not None:
            fault = find_orientation_fault(hearts, slice_.index, least_confidence)
            uncertain += [slice_.index] if fault is not None else []
        if fault is None:
            usable.append(slice_.index)
        elif fault is not Fault.UNLABELLED:  # slices above the base and below the apex have no labels
            problems.append(_problem(Severity.WARNING, stack.patient, slice_.index, str(fault)))
    if not usable:
        problems.append(_problem(Severity.ERROR, stack.patient, None, f"none of its {len(stack)} slices can be used; see the warnings"))
    down, across = stack.spacing_mm
    if not 0.5 <= down / across <= 2:
        problems.append(
            _problem(Severity.WARNING, stack.patient, None, f"pixels are {down:g} x {across:g} mm; slices must be the last axis")
        )
    with_scar = tuple(index for index in usable if scar_of(stack.labels[:, :, index]).any())
    sound = sorted((*usable, *uncertain))
    wall, scar = (int(mask[:, :, sound].sum()) for mask in (wall_of(stack.labels), scar_of(stack.labels)))
    if sound and scar > UNUSUAL_BURDEN * wall:
        message = f"scar fills {scar / wall:.0%} of the wall of all usable slices; are the label ids of scar and wall swapped?"
        problems.append(_problem(Severity.WARNING, stack.patient, None, message))
    problems += [
        Problem(severity=Severity.WARNING, patient=stack.patient, slice_index=None, message=message, kind=kind)
        for kind, message in strangeness_of(stack, sound)
    ]
    return CaseReport(
        patient=stack.patient,
        slices=len(stack),
        usable=tuple(usable),
        uncertain=tuple(uncertain),
        with_scar=with_scar,
        spacing_mm=stack.spacing_mm,
        orientation=describe_orientation(stack, hearts),
        problems=tuple(problems),
    )


def _thumbnails(stack: Stack, usable: Sequence[int]) -> list[Thumbnail]:
    slices = [stack[index] for index in usable]
    radius = heart_radius_px([wall_of(slice_.labels) | (slice_.labels == Label.CAVITY) for slice_ in slices])
    return [make_thumbnail(slice_, radius) for slice_ in slices]


def _duplicate_problem(pair: Duplicate, splits: Mapping[str, Sequence[str]]) -> Problem:
    parts = [next((part for part, names in splits.items() if name in names), None) for name in (pair.first, pair.second)]
    leaks = parts[0] is not None and parts[1] is not None and parts[0] != parts[1]
    note = f"{pair}; they are in {parts[0]} and in {parts[1]}" if leaks else str(pair)
    return _problem(Severity.ERROR if leaks else Severity.WARNING, pair.first, None, note)


def _problem(severity: Severity, patient: str, slice_index: int | None, message: str) -> Problem:
    return Problem(severity=severity, patient=patient, slice_index=slice_index, message=message)
