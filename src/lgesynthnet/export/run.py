"""A run, and the real slices beside it, as a training set for somebody else's trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgesynthnet import __version__
from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import RunError
from lgesynthnet.export.cases import ExportCase, Origin
from lgesynthnet.export.folds import CaseLists, Fold, Mix, case_lists, patient_folds
from lgesynthnet.export.gather import Gathered, Source, Told, gather
from lgesynthnet.export.nnunet import SPLITS, NnunetDataset, checked_name, coding_of, write_nnunet
from lgesynthnet.export.notice import notice
from lgesynthnet.export.pairs import write_pairs
from lgesynthnet.run.licence import host_licence
from lgesynthnet.terms import Classes

TRAIN, VAL = "train", "val"
FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class NnunetRequest:
    """An nnU-Net data set; one of `splits` and `folds`, or neither for five folds.

    Attributes:
        splits: JSON of part -> patients; its train and val make one fold.
        folds: number of patient-level folds, drawn by `seed`.
    """

    source: Source
    out: Path
    dataset_id: int
    name: str = "LGESynthNet"
    splits: Path | None = None
    folds: int | None = None
    seed: int = 0
    classes: Classes = Classes.ALL
    share: float | None = None
    repeat: bool = False


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and what its user must know, one sentence each."""

    folder: Path
    cases: int
    notes: tuple[str, ...]


def export_nnunet(request: NnunetRequest, *, on_case: Told | None = None) -> Exported:
    """Write `OUT/DatasetXXX_NAME`.

    Args:
        on_case: told (done, all) while real patients are read and while cases are written.
    Raises:
        LGESynthNetError: what a user can mend: no run, a patient in the wrong part, a folder that is taken.
    """
    checked_name(request.dataset_id, request.name)
    mix = Mix(share=request.share, repeat=request.repeat, seed=request.seed)
    if request.splits is not None and request.folds is not None:
        raise RunError("--splits and --folds both say who validates; give one of them")
    if request.source.no_real and (mix.share is not None or request.folds is not None):
        raise RunError("--no-real leaves nothing to mix with or to validate on; drop it, or --folds and --synthetic-share")
    parts = read_splits(request.splits) if request.splits is not None else None
    gathered = gather(request.source, on_case)
    if parts is not None:
        _refuse_leaks(parts, gathered.hosts, str(request.splits))
    lists = None if request.source.no_real else _lists(gathered, parts, request, mix)
    cases = _listed(gathered, lists, parts)
    provenance = _provenance(request.source, gathered, {"seed": request.seed, "synthetic_share": mix.share, "repeat": mix.repeat})
    dataset = NnunetDataset(
        dataset_id=request.dataset_id,
        name=request.name,
        classes=request.classes,
        cases=cases,
        lists=lists,
        provenance=provenance,
        notice=notice(cases, provenance, hosts=host_licence(gathered.summary), real=gathered.real_licence),
    )
    folder, stood = write_nnunet(dataset, request.out, on_case)
    notes = [*_counts(cases), *gathered.notes, *_fold_notes(lists, cases, mix)]
    if coding_of(request.classes, cases).lost_rv:
        notes.append("the RV is labelled in the real or in the synthetic slices alone, so it became background in all")
    return Exported(folder=folder, cases=len(cases), notes=(*notes, *_nnunet_notes(folder, lists), *_stood(stood)))


def export_nifti(source: Source, out: Path, *, on_case: Told | None = None) -> Exported:
    """Write image and label side by side into `OUT`, with `cases.csv`; else like `export_nnunet`."""
    gathered = gather(source, on_case)
    cases = [*gathered.real, *gathered.synthetic]
    provenance = _provenance(source, gathered, {})
    text = notice(cases, provenance, hosts=host_licence(gathered.summary), real=gathered.real_licence)
    stood = write_pairs(cases, out, provenance=provenance, notice=text, on_case=on_case)
    return Exported(folder=out, cases=len(cases), notes=(*_counts(cases), *gathered.notes, *_stood(stood)))


def _refuse_leaks(parts: Mapping[str, list[str]], hosts: list[str], place: str) -> None:
    """A sample of a patient who only tests would carry that heart into training."""
    part_of = {patient: part for part, patients in parts.items() for patient in patients}
    for host in hosts:
        part = part_of.get(host)
        if part not in (TRAIN, VAL):
            where = f"stands in {part}" if part else "stands in no part"
            raise RunError(
                f"{place}: patient {host} {where}, and the run painted into that heart, which would then train the model; "
                f"paint again with `synthesize --splits {place} --part {TRAIN}`, or move {host} to {TRAIN}"
            )


def _lists(gathered: Gathered, parts: Mapping[str, list[str]] | None, request: NnunetRequest, mix: Mix) -> list[CaseLists]:
    if parts is not None:
        missing = [part for part in (TRAIN, VAL) if not parts.get(part)]
        if missing:
            raise RunError(
                f'{request.splits}: has no patients in "{missing[0]}"; it has {", ".join(parts)}, a fold needs {TRAIN} and {VAL}'
            )
        folds = [Fold(train=frozenset(parts[TRAIN]), val=frozenset(parts[VAL]))]
    else:
        homeless = [host for host in gathered.hosts if host not in gathered.scarred]
        if homeless:
            names = ", ".join(homeless[:5]) + (" ..." if len(homeless) > 5 else "")
            gathered.notes.append(
                f"hosts {names} are not among the real patients, so their samples train in every fold; if they are the same people under "
                "other names, this leaks"
            )
        count = request.folds if request.folds is not None else FOLDS
        folds = patient_folds(gathered.scarred, count, request.seed, always=homeless)
    return case_lists(folds, [*gathered.real, *gathered.synthetic], mix)


def _listed(gathered: Gathered, lists: list[CaseLists] | None, parts: Mapping[str, list[str]] | None) -> list[ExportCase]:
    """Cases that a fold names; what none trains or validates on would only colour nnU-Net's planning."""
    cases = [*gathered.real, *gathered.synthetic]
    if lists is not None:
        named = {name for entry in lists for name in (*entry.train, *entry.val)}
        listed = [case for case in cases if case.id in named]
    elif parts is not None:
        listed = [case for case in cases if case.patient in parts.get(TRAIN, [])]
    else:
        listed = cases
    for origin in Origin:
        left = sum(case.origin is origin for case in cases) - sum(case.origin is origin for case in listed)
        if left:
            gathered.notes.append(f"{left} {origin} cases were left out: no fold names them")
    if not listed:
        raise RunError(f"{gathered.summary.run}: none of its samples may train; paint again with `synthesize --splits FILE --part {TRAIN}`")
    return listed


def _provenance(source: Source, gathered: Gathered, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": __version__,
        "run": source.run.resolve().name,
        "plan": gathered.plan.hash,
        "hosts": gathered.plan.hosts_fingerprint,
        "generator": gathered.plan.generator,
        "reader": gathered.plan.reader,
        "label": source.label.value,
        "kept_only": source.kept_only,
        **more,
    }


def _stood(stood: bool) -> list[str]:
    return ["the same export stood there already; nothing was written"] if stood else []


def _counts(cases: list[ExportCase]) -> list[str]:
    counted = []
    for origin in Origin:
        of_it = [case for case in cases if case.origin is origin]
        scar = sum(case.has_scar for case in of_it)
        counted.append(f"{len(of_it)} {origin} slices of {len({case.patient for case in of_it})} patients, {scar} with scar")
    return counted


def _fold_notes(lists: list[CaseLists] | None, cases: list[ExportCase], mix: Mix) -> list[str]:
    if lists is None:
        return ["without real slices there is nothing to validate on: no splits_final.json; training on fold `all` judges itself"]
    synthetic = {case.id for case in cases if case.origin is Origin.SYNTHETIC}
    notes = []
    for number, entry in enumerate(lists):
        drawn = sum(name in synthetic for name in entry.train)
        share = drawn / len(entry.train)
        notes.append(
            f"fold {number}: trains on {len(entry.train)} ({drawn} synthetic, {share:.2f}), validates on {len(entry.val)} real slices"
        )
    if mix.repeat:
        notes.append("cases stand repeatedly in splits_final.json: nnU-Net before 2.6 would take each once")
    return notes


def _nnunet_notes(folder: Path, lists: list[CaseLists] | None) -> list[str]:
    notes = ["nnU-Net plans spacing, intensities and patch size from all cases of the folder, synthetic ones included"]
    if lists is not None:
        notes.append(
            f"copy {folder / SPLITS} to nnUNet_preprocessed/{folder.name} after preprocessing; recent nnU-Net takes it over by itself, "
            "but never over one that is there"
        )
        notes.append(
            f"train folds 0 to {len(lists) - 1} alone: a fold that the file lacks, or `all`, would validate on synthetic cases"
            if len(lists) > 1
            else "train fold 0 alone: a fold that the file lacks, or `all`, would validate on synthetic cases"
        )
    return notes
