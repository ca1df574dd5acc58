"""A run, and real slices beside it, as a training set for another program."""

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
from lgesynthnet.export.gather import GatheredCases, OnCase, gather
from lgesynthnet.export.nnunet import SPLITS, NnunetDataset, checked_name, coding_of, write_nnunet
from lgesynthnet.export.notice import notice
from lgesynthnet.export.pairs import write_pairs
from lgesynthnet.export.request import ExportRequest, NnunetRequest

TRAIN, VAL = "train", "val"
FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and notes for its user, one sentence each."""

    folder: Path
    cases: int
    notes: tuple[str, ...]


def export_nnunet(request: NnunetRequest, *, on_case: OnCase | None = None) -> Exported:
    """Write `OUT/DatasetXXX_NAME`.

    Args:
        on_case: gets (done, total) while real patients are read and while cases are written.
    Raises:
        LGESynthNetError: no run, a patient in the wrong part, or a folder that exists already.
    """
    checked_name(request.dataset_id, request.name)
    mix = Mix(share=request.synthetic_share, repeat=request.repeat, seed=request.seed)
    parts = read_splits(request.splits) if request.splits is not None else None
    gathered = gather(request, on_case)
    if parts is not None:
        _refuse_leaks(parts, gathered.hosts, str(request.splits))
    lists = None if request.no_real else _lists(gathered, parts, request, mix)
    cases = _listed(gathered, lists, parts)
    provenance = _provenance(request, gathered, {"seed": request.seed, "synthetic_share": mix.share, "repeat": mix.repeat})
    dataset = NnunetDataset(
        dataset_id=request.dataset_id,
        name=request.name,
        classes=request.classes,
        cases=cases,
        lists=lists,
        provenance=provenance,
        notice=notice(cases, provenance, hosts=gathered.host_licence, real=gathered.real_licence),
    )
    folder, existed = write_nnunet(dataset, request.out, on_case)
    notes = [*_counts(cases), *gathered.notes, *_fold_notes(lists, cases, mix)]
    if coding_of(request.classes, cases).lost_rv:
        notes.append("only the real slices or only the synthetic ones have an RV label, so the RV became background in all")
    return Exported(folder=folder, cases=len(cases), notes=(*notes, *_nnunet_notes(folder, lists), *_existed(existed)))


def export_nifti(request: ExportRequest, out: Path, *, on_case: OnCase | None = None) -> Exported:
    """Write image and label side by side into `out`, with `cases.csv`; otherwise like `export_nnunet`."""
    gathered = gather(request, on_case)
    cases = [*gathered.real, *gathered.synthetic]
    provenance = _provenance(request, gathered, {})
    text = notice(cases, provenance, hosts=gathered.host_licence, real=gathered.real_licence)
    existed = write_pairs(cases, out, provenance=provenance, notice=text, on_case=on_case)
    return Exported(folder=out, cases=len(cases), notes=(*_counts(cases), *gathered.notes, *_existed(existed)))


def _refuse_leaks(parts: Mapping[str, list[str]], hosts: list[str], place: str) -> None:
    """A sample of a test patient would bring that patient's heart into training."""
    part_of = {patient: part for part, patients in parts.items() for patient in patients}
    for host in hosts:
        part = part_of.get(host)
        if part not in (TRAIN, VAL):
            where = f"is in the part {part}" if part else "is in no part"
            raise RunError(
                f"{place}: patient {host} {where}, but the run painted into that patient's heart, and its samples would train the model; "
                f"paint again with `synthesize --splits {place} --part {TRAIN}`, or move {host} to {TRAIN}"
            )


def _lists(gathered: GatheredCases, parts: Mapping[str, list[str]] | None, request: NnunetRequest, mix: Mix) -> list[CaseLists]:
    if parts is not None:
        missing = [part for part in (TRAIN, VAL) if not parts.get(part)]
        if missing:
            raise RunError(
                f'{request.splits}: has no patients in "{missing[0]}"; it has {", ".join(parts)}, a fold needs {TRAIN} and {VAL}'
            )
        folds = [Fold(train=frozenset(parts[TRAIN]), val=frozenset(parts[VAL]))]
    else:
        unknown = [host for host in gathered.hosts if host not in gathered.has_scar]
        if unknown:
            names = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
            gathered.notes.append(
                f"the hosts {names} are not among the real patients, so their samples train in every fold; if they are the same people "
                "under other names, this is a leak"
            )
        count = request.folds if request.folds is not None else FOLDS
        folds = patient_folds(gathered.has_scar, count, request.seed, always=unknown)
    return case_lists(folds, [*gathered.real, *gathered.synthetic], mix)


def _listed(gathered: GatheredCases, lists: list[CaseLists] | None, parts: Mapping[str, list[str]] | None) -> list[ExportCase]:
    """Cases that a fold names. A case that no fold uses would only influence nnU-Net's planning."""
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
            gathered.notes.append(f"{left} {origin} cases were left out because no fold uses them")
    if not listed:
        raise RunError(
            f"{gathered.run.path}: none of its samples may train a model; paint again with `synthesize --splits FILE --part {TRAIN}`"
        )
    return listed


def _provenance(request: ExportRequest, gathered: GatheredCases, more: dict[str, Any]) -> dict[str, Any]:
    plan = gathered.run.plan
    return {
        "version": __version__,
        "run": gathered.run.name,
        "plan": plan.hash,
        "hosts": plan.hosts_fingerprint,
        "generator": plan.generator_fingerprint,
        "filter": plan.filter_fingerprint,
        "label": request.label.value,
        "kept_only": not request.every,
        **more,
    }


def _existed(existed: bool) -> list[str]:
    return ["the same export existed already, so nothing was written"] if existed else []


def _counts(cases: list[ExportCase]) -> list[str]:
    counted = []
    for origin in Origin:
        of_it = [case for case in cases if case.origin is origin]
        scar = sum(case.has_scar for case in of_it)
        counted.append(f"{len(of_it)} {origin} slices of {len({case.patient for case in of_it})} patients, {scar} with scar")
    return counted


def _fold_notes(lists: list[CaseLists] | None, cases: list[ExportCase], mix: Mix) -> list[str]:
    if lists is None:
        return [
            "without real slices there is nothing to validate on, so splits_final.json is missing; fold `all` validates on its own cases"
        ]
    synthetic = {case.id for case in cases if case.origin is Origin.SYNTHETIC}
    notes = []
    for number, entry in enumerate(lists):
        drawn = sum(name in synthetic for name in entry.train)
        share = drawn / len(entry.train)
        notes.append(
            f"fold {number}: trains on {len(entry.train)} ({drawn} synthetic, {share:.2f}), validates on {len(entry.val)} real slices"
        )
    if mix.repeat:
        notes.append("splits_final.json lists some cases more than once; nnU-Net before 2.6 would take each only once")
    return notes


def _nnunet_notes(folder: Path, lists: list[CaseLists] | None) -> list[str]:
    notes = ["nnU-Net plans spacing, intensities and patch size from all cases of the folder, synthetic ones included"]
    if lists is not None:
        notes.append(
            f"copy {folder / SPLITS} to nnUNet_preprocessed/{folder.name} after preprocessing; recent nnU-Net copies it by itself, "
            "unless a splits_final.json is there already"
        )
        notes.append(
            f"train only folds 0 to {len(lists) - 1}: a fold that the file does not have, or `all`, would validate on synthetic cases"
            if len(lists) > 1
            else "train only fold 0: a fold that the file does not have, or `all`, would validate on synthetic cases"
        )
    return notes
