"""Export a run, together with real slices or stacks, as a training set for another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lgesynthnet import __version__
from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import RunError
from lgesynthnet.export.cases import ExportCase, Origin
from lgesynthnet.export.folds import CaseLists, Fold, Mix, at_most_per_host, case_lists, patient_folds
from lgesynthnet.export.gather import GatheredCases, gather
from lgesynthnet.export.nnunet import SPLITS, NnunetDataset, check_name, label_coding, write_nnunet
from lgesynthnet.export.notice import notice
from lgesynthnet.export.pairs import write_pairs
from lgesynthnet.export.request import ExportRequest, NnunetRequest
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.files.owned import require_outside, written_again
from lgesynthnet.records import Label, OnCase
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.terms import Classes, Dimension, LabelKind

TRAIN, VAL = "train", "val"
FOLDS = 5
STACKS_PER_HOST = 3  # default of --most-per-host: beyond the scar, all stacks of a patient are one image


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """The folder that was written, the number of its cases, and notes for the user, one sentence each."""

    folder: Path
    cases: int
    notes: tuple[str, ...]


def export_nnunet(request: NnunetRequest, *, on_case: OnCase | None = None) -> ExportResult:
    """Write `OUT/DatasetXXX_NAME`, an nnU-Net data set with folds by patient.

    Args:
        on_case: gets (done, total) while real patients are read and while cases are written.
    Raises:
        LGESynthNetError: the run or the data cannot be used, a host is not a training patient, or the folder is taken.
    """
    check_name(request.dataset_id, request.name)
    mix = Mix(share=request.synthetic_share, repeat=request.repeat, most_per_host=request.most_per_host, seed=request.seed)
    gathered = gather(request, on_case)
    if mix.most_per_host is None and gathered.dimension is Dimension.STACKS:
        mix = replace(mix, most_per_host=STACKS_PER_HOST)
    _require_elsewhere(request.out, gathered)
    request = _with_splits_of_run(request, gathered)
    parts = read_splits(request.splits) if request.splits is not None else None
    if parts is not None:
        _refuse_leaks(parts, gathered.hosts, str(request.splits))
    _limit_per_host(gathered, mix)
    lists = None if request.no_real else _fold_lists(gathered, parts, request, mix)
    cases = _used_cases(gathered, lists, parts)
    limit = {} if mix.most_per_host is None else {"most_per_host": mix.most_per_host}
    provenance = _provenance(request, gathered, {"seed": mix.seed, "synthetic_share": mix.share, "repeat": mix.repeat, **limit})
    dataset = NnunetDataset(
        dataset_id=request.dataset_id,
        name=request.name,
        classes=request.classes,
        cases=cases,
        lists=lists,
        provenance=provenance,
        origin_channel=request.origin_channel,
        notice=_notice(cases, provenance, gathered, origin_channel=request.origin_channel),
    )
    folder, damaged = write_nnunet(dataset, request.out, on_case)
    notes = [*count_notes(cases), *_cut_notes(cases), *gathered.notes, *_fold_notes(lists, cases, mix)]
    if label_coding(request.classes, cases).lost_rv:
        notes.append(f"only the real {cases[0].NOUN}s or only the synthetic ones have an RV label, so the RV became background in all")
    notes += _no_reflow_note(request.classes, cases)
    return ExportResult(
        folder=folder, cases=len(cases), notes=(*notes, *_nnunet_notes(folder, lists, request, gathered), *written_notes(damaged))
    )


def export_nifti(request: ExportRequest, out: Path, *, on_case: OnCase | None = None) -> ExportResult:
    """Write image and label side by side into `out`, with `cases.csv`; otherwise like `export_nnunet`."""
    gathered = gather(request, on_case)
    _require_elsewhere(out, gathered)
    cases = [*gathered.real, *gathered.synthetic]
    provenance = _provenance(request, gathered, {})
    text = _notice(cases, provenance, gathered)
    damaged = write_pairs(cases, out, provenance=provenance, notice=text, on_case=on_case)
    notes = (*count_notes(cases), *_cut_notes(cases), *gathered.notes, *written_notes(damaged))
    return ExportResult(folder=out, cases=len(cases), notes=notes)


def _require_elsewhere(out: Path, gathered: GatheredCases) -> None:
    """An export is never written among the samples of the run or among the patients that it copies.

    Raises:
        RunError: see `require_outside`.
    """
    if gathered.run is not None:
        require_outside(out, "run", gathered.run.path)
    for folder in gathered.real_folders:
        require_outside(out, "patients", folder)


def _with_splits_of_run(request: NnunetRequest, gathered: GatheredCases) -> NnunetRequest:
    """Take the splits that the run was painted with, where the user names neither splits nor folds: folds would mix its test patients in.

    Raises:
        RunError: the splits file of the run is not there any more.
    """
    splits = gathered.run.plan.request.splits if gathered.run is not None else None
    if splits is None or request.splits is not None or request.folds is not None or request.no_real:
        return request
    if not splits.is_file():
        raise RunError(f"{splits}: the run was painted with these splits, and the file is gone; give it with --splits, or add --folds")
    gathered.notes.append(f"the folds follow {splits}, with which the run was painted; --folds would make folds of all patients")
    return replace(request, splits=splits)


def _limit_per_host(gathered: GatheredCases, mix: Mix) -> None:
    """Leave out the samples that exceed the limit of a patient, and say how many."""
    chosen = at_most_per_host(gathered.synthetic, mix)
    left_out = len(gathered.synthetic) - len(chosen)
    if left_out:
        noun = chosen[0].NOUN
        gathered.notes.append(
            f"{left_out} synthetic {noun}s were left out, so that at most {mix.most_per_host} samples of one patient train; "
            "--most-per-host changes that"
        )
    gathered.synthetic = chosen


def _no_reflow_note(classes: Classes, cases: Sequence[ExportCase]) -> list[str]:
    """A class that only synthetic cases have would teach that it means "synthetic"."""
    with_no_reflow = {case.origin for case in cases if Label.NO_REFLOW in case.present}
    if classes is Classes.SCAR or with_no_reflow != {Origin.SYNTHETIC} or len({case.origin for case in cases}) == 1:
        return []
    noun = cases[0].NOUN
    return [
        f"only synthetic {noun}s hold no-reflow, so a model could learn that it means synthetic; use --classes scar, or paint without it"
    ]


def _refuse_leaks(parts: Mapping[str, list[str]], hosts: list[str], place: str) -> None:
    """Refuse a run with hosts outside train and val: a sample of a test patient would bring that patient's heart into training."""
    part_of = {patient: part for part, patients in parts.items() for patient in patients}
    for host in hosts:
        part = part_of.get(host)
        if part not in (TRAIN, VAL):
            where = f"is in the part {part}" if part else "is in no part"
            raise RunError(
                f"{place}: patient {host} {where}, but samples of this patient would train the model; "
                f"make another run with `synthesize --splits {place} --part {TRAIN}`"
            )


def _fold_lists(gathered: GatheredCases, parts: Mapping[str, list[str]] | None, request: NnunetRequest, mix: Mix) -> list[CaseLists]:
    if parts is not None:
        missing = [part for part in (TRAIN, VAL) if not parts.get(part)]
        if missing:
            raise RunError(
                f'{request.splits}: has no patients in "{missing[0]}"; a fold needs {TRAIN} and {VAL}, and the file has {", ".join(parts)}'
            )
        folds = [Fold(train=frozenset(parts[TRAIN]), val=frozenset(parts[VAL]))]
    else:
        unknown = [host for host in gathered.hosts if host not in gathered.has_scar]
        if unknown:
            names = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
            gathered.notes.append(
                f"the hosts {names} are not among the real patients, so their samples train in every fold; if the same patients have "
                "other names there, a patient may both train and validate"
            )
        count = request.folds if request.folds is not None else max(2, min(FOLDS, len(gathered.has_scar)))
        if request.folds is None and count < FOLDS:
            gathered.notes.append(f"{count} folds, one for each of the {len(gathered.has_scar)} real patients")
        folds = patient_folds(gathered.has_scar, count, request.seed, train_only=unknown)
    return case_lists(folds, [*gathered.real, *gathered.synthetic], mix)


def _used_cases(gathered: GatheredCases, lists: list[CaseLists] | None, parts: Mapping[str, list[str]] | None) -> list[ExportCase]:
    """The cases that the folds use. Other cases would only influence the planning of nnU-Net."""
    cases = [*gathered.real, *gathered.synthetic]
    if lists is not None:
        used_ids = {name for entry in lists for name in (*entry.train, *entry.val)}
        used = [case for case in cases if case.id in used_ids]
    elif parts is not None:
        used = [case for case in cases if case.patient in parts.get(TRAIN, [])]
    else:
        used = cases
    for origin in Origin:
        unused = sum(case.origin is origin for case in cases) - sum(case.origin is origin for case in used)
        if unused:
            gathered.notes.append(f"{unused} {origin} cases were left out because no fold uses them")
    if not used:
        raise RunError(
            f"{gathered.folder}: none of its samples may train a model; make another run with `synthesize --splits FILE --part {TRAIN}`"
        )
    return used


def _notice(cases: Sequence[ExportCase], provenance: dict[str, Any], gathered: GatheredCases, *, origin_channel: bool = False) -> str:
    return notice(
        cases,
        provenance,
        hosts=gathered.host_licence,
        real=gathered.real_licence,
        weights=gathered.weights_licence,
        origin_channel=origin_channel,
    )


def run_provenance(run: RunFolder, label: LabelKind, *, all_samples: bool, names_kept: bool) -> dict[str, Any]:
    """What an export records of the run that it was made of."""
    plan = run.plan
    return {
        "version": __version__,
        "run": run.name,
        "plan": plan.hash,
        "hosts": plan.hosts_fingerprint,
        "generator": plan.generator_fingerprint,
        "filter": plan.filter_fingerprint,
        "label": label.value,
        "kept_only": not all_samples,
        "names": "kept" if names_kept else "pseudonyms",
        **({} if plan.masks_drawn_by is None else {"masks_drawn_by": plan.masks_drawn_by}),
    }


def _provenance(request: ExportRequest, gathered: GatheredCases, more: dict[str, Any]) -> dict[str, Any]:
    if gathered.run is None:
        of_run: dict[str, Any] = {"version": __version__, "names": "kept"}
    else:
        of_run = run_provenance(gathered.run, request.label, all_samples=request.all_samples, names_kept=request.keep_names)
    real = {} if gathered.real_drawn_by is None else {"real_masks_drawn_by": gathered.real_drawn_by}
    dimension = {"dimension": 3} if gathered.dimension is Dimension.STACKS else {}
    return {**of_run, **real, **dimension, **more}


def written_notes(damaged: list[str] | None) -> list[str]:
    """What `write_export` returned, as notes for the user."""
    if damaged is None:
        return []
    return [written_again(damaged)] if damaged else ["the same export existed already, so nothing was written"]


def count_notes(cases: Sequence[ExportCase]) -> list[str]:
    """The number of cases and patients of each origin, as notes for the user."""
    notes = []
    for origin in Origin:
        chosen = [case for case in cases if case.origin is origin]
        if not chosen:
            continue
        scar = sum(case.has_scar for case in chosen)
        notes.append(f"{len(chosen)} {origin} {chosen[0].NOUN}s of {len({case.patient for case in chosen})} patients, {scar} with scar")
    return notes


def _cut_notes(cases: Sequence[ExportCase]) -> list[str]:
    """What the user must know of the slices that stacks hold and do not hold."""
    cuts = [case.cut for case in cases if isinstance(case, StackCase)]
    beyond, unlabelled = [cut.beyond for cut in cuts if cut.beyond], [cut.unlabelled for cut in cuts if cut.unlabelled]
    notes = []
    if beyond:
        notes.append(
            "each stack holds the slices from the first to the last with a heart label; "
            f"{sum(beyond)} slices beyond them, of {len(beyond)} stacks, were left out"
        )
    if unlabelled:
        notes.append(
            f"{len(unlabelled)} stacks hold {sum(unlabelled)} slices without a heart label between labelled ones, so a network learns that "
            "there is no heart; label them, or export slices with --dimension 2"
        )
    return notes


def _fold_notes(lists: list[CaseLists] | None, cases: list[ExportCase], mix: Mix) -> list[str]:
    noun = cases[0].NOUN
    if lists is None:
        return [f"without real {noun}s nothing can validate, so there is no splits_final.json; fold `all` validates on its training cases"]
    synthetic = {case.id for case in cases if case.origin is Origin.SYNTHETIC}
    notes = []
    for number, entry in enumerate(lists):
        synthetic_count = sum(name in synthetic for name in entry.train)
        share = synthetic_count / len(entry.train)
        notes.append(
            f"fold {number}: trains on {len(entry.train)} {noun}s ({synthetic_count} synthetic, share {share:.2f}), "
            f"validates on {len(entry.val)} real {noun}s"
        )
    if mix.repeat:
        notes.append("splits_final.json lists some cases more than once; nnU-Net before 2.6 uses each case only once")
    return notes


def _nnunet_notes(folder: Path, lists: list[CaseLists] | None, request: NnunetRequest, gathered: GatheredCases) -> list[str]:
    notes = []
    if gathered.synthetic:
        notes.append("nnU-Net plans spacing, intensities and patch size from all cases of the folder, including the synthetic ones")
    if request.origin_channel:
        notes.append("what is predicted needs a second channel of zeros, too: lgesynthnet export origin-channel IMAGES OUT")
    if lists is not None:
        notes.append(
            f"copy {folder / SPLITS} to nnUNet_preprocessed/{folder.name} after preprocessing; recent versions of nnU-Net do this, "
            "unless a splits_final.json exists there"
        )
    if lists is not None and gathered.synthetic:
        notes.append(
            f"train only folds 0 to {len(lists) - 1}: any other fold, or `all`, would validate on synthetic cases"
            if len(lists) > 1
            else "train only fold 0: any other fold, or `all`, would validate on synthetic cases"
        )
    return notes
