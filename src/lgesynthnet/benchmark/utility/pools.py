"""The synthetic slices of a utility experiment. Each pool is an ordinary run folder, which can be evaluated and exported like any other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.benchmark.utility.plan import Pool, Prepared
from lgesynthnet.benchmark.utility.questions.strata import prescribe_stratum
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.manifest import FolderKind, digest
from lgesynthnet.files.owned import damaged_files, manifest_of
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.prior.choosing import open_prior
from lgesynthnet.records import Label, Stack, scar_of
from lgesynthnet.run.folder import PLAN, RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_files import ENDING, READ, TWIN_IMAGES, TWIN_LABELS
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.painters import Painter, load_painter
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Edit, Method, Prior, Role
from lgesynthnet.train.examples.files import PreparedFile
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, write_slice_dataset

SCARRED_SLICES_PER_PATIENT = 4  # what a simulated patient with scar has at least, on average
LOWEST_PASS_RATE = 0.02  # below this share of kept samples, painting stops with an error
SURPLUS = 1.1  # attempts beyond the number that the pass rate so far asks for


@dataclass(frozen=True, kw_only=True)
class SamplePools:
    """The pools of one experiment.

    Attributes:
        out: folder of the experiment.
        prior: distribution of the painted scars, or the file of one.
    """

    methods: TrainedMethods
    out: Path
    prior: Prior | Path = Prior.ISCHAEMIC
    seed: int = 0

    def folder(self, pool: str) -> Path:
        """The run folder of a pool."""
        return self.out / "pools" / pool

    def prepared_path(self, pool: str, prepared: Prepared) -> Path:
        """The file of a pool's slices, prepared for training."""
        return self.out / "prepared" / f"{pool}{'' if prepared is Prepared.INTENDED else f'-{prepared}'}.safetensors"

    def fill(self, pool: Pool) -> None:
        """Paint the samples that are missing, then prepare all samples for training.

        Raises:
            RunError: the filter keeps so few samples that the pool would never be full.
        """
        if pool.method is None:
            self._simulate(pool)
            return
        self._paint(pool)
        source = f"{pool.name}: {len(self.samples(pool.name))} samples, {_content_of(self.folder(pool.name))}"
        for prepared in sorted(pool.prepared):
            path = self.prepared_path(pool.name, prepared)
            if not _is_prepared(path, source):
                write_slice_dataset(self._stacks(pool.name, prepared), path, source=source, place=str(self.folder(pool.name)))

    def slices(
        self, pool: str, size: int, *, patients: Sequence[str], kept: bool, prepared: Prepared = Prepared.INTENDED
    ) -> SliceDataset | None:
        """The slices of a pool whose hosts are slices of these patients, or their twins; at most the first `size` of them.

        None where there are none.

        Args:
            patients: names of the hosts' patients; of simulated patients, all slices with scar are taken.
            kept: use only samples that the filter kept.
        """
        dataset = read_slice_dataset(self.prepared_path(pool, prepared))
        hosts = self._hosts(pool, kept=kept)
        if hosts is None:  # simulated patients, who have slices without scar too
            index = np.flatnonzero(dataset.scarred)
        else:
            index = np.array([i for i, name in enumerate(dataset.patients) if hosts.get(name) in patients], dtype=int)
        return dataset.taken(index[:size]) if index.size else None

    def _hosts(self, pool: str, *, kept: bool) -> dict[str, str] | None:
        """Sample -> the patient whose heart it was painted into, of the samples to use; None for simulated patients."""
        folder = self.folder(pool)
        if not (folder / PLAN).is_file():
            return None
        return {row.id: row.host for row in RunFolder.open(folder).rows if row.file and (row.kept or not kept)}

    def samples(self, pool: str) -> dict[str, bool]:
        """Painted samples in the order of painting: id -> whether the filter kept it. Empty for simulated patients."""
        folder = self.folder(pool)
        if not (folder / PLAN).is_file():
            return {}
        return {row.id: row.kept for row in RunFolder.open(folder).rows if row.file}

    def _paint(self, pool: Pool) -> None:
        painter: Painter | None = None
        while True:
            samples = self.samples(pool.name)
            kept = sum(samples.values())
            if len(samples) >= pool.count and kept >= pool.kept:
                if damaged_files(self.folder(pool.name), FolderKind.RUN) != []:  # or interrupted at its end
                    self._synthesize(pool, painter or self._painter(pool), self._recorded(pool))
                return
            if pool.kept and len(samples) >= max(100, pool.count) and kept < LOWEST_PASS_RATE * len(samples):
                raise RunError(
                    f"{self.folder(pool.name)}: the filter kept only {kept} of {len(samples)} samples, so {pool.kept} are out of reach. "
                    "See report.html there for the reasons; use a model that fits these hosts, or leave this arm out with --arm"
                )
            rate = kept / len(samples) if kept else 1.0
            lacking = max(pool.count - len(samples), (pool.kept - kept) / rate, 0)
            missing = math.ceil(lacking * (SURPLUS if rate < 1 else 1))
            painter = painter or self._painter(pool)
            self._synthesize(pool, painter, self._recorded(pool) + missing)
            if len(self.samples(pool.name)) == len(samples):
                raise RunError(f"{self.folder(pool.name)}: no further sample could be painted; see report.html there for the reasons")

    def _recorded(self, pool: Pool) -> int:
        """Number of samples in the ledger; after a kill the table may lack the last ones."""
        folder = self.folder(pool.name)
        if not (folder / PLAN).is_file():
            return 0
        ledger = RunFolder.open(folder).ledger()
        try:
            return len(ledger.counted(keep_all=True))
        finally:
            ledger.close()

    def _synthesize(self, pool: Pool, painter: Painter, count: int) -> None:
        prescriptions = None
        if pool.stratum is not None:
            prescriptions = prescribe_stratum(
                pool.stratum, open_prior(self.prior, pool.model), self.out / "prescriptions" / f"{pool.stratum}.jsonl", seed=self.seed
            )
        request = SynthesisRequest(
            hosts=replace(self.methods.source, patients=pool.patients),
            count=count,
            model=pool.model or (pool.method.value if pool.method else ""),
            prior=self.prior if prescriptions is None and pool.edit is not Edit.REMOVE else None,
            prescriptions=prescriptions,
            edit=pool.edit,
            twins=pool.edit is Edit.ADD,  # which are the hosts, so that they cost nothing
            keep_all=True,
            seed=self.seed,
        )
        folder = self.folder(pool.name)
        synthesize(plan_synthesis(request, painter=painter, run=folder), folder)

    def _painter(self, pool: Pool) -> Painter:
        if pool.model is not None:
            return load_painter(pool.model, "cpu")
        methods = self.methods
        folder = methods.filter()
        if folder is None:
            raise RunError(
                f"{methods.models or methods.work}: there is no filter; train it with `lgesynthnet train scar-segmenter --role filter`"
            )
        method = pool.method or Method.LGESYNTHNET
        segmenter = TrainedScarSegmenter.from_pretrained(folder, Role.FILTER)
        return Painter(name=method.value, generator=methods.generator(method), filter=segmenter)

    def _simulate(self, pool: Pool) -> None:
        patients = math.ceil(pool.count / SCARRED_SLICES_PER_PATIENT) + 2
        # A cohort never grows, so that a larger pool is a cohort of its own.
        folder = simulate_patients(self.folder(f"{pool.name}-{patients}"), patients=patients, seed=self.seed, positive=1.0)
        path, source = self.prepared_path(pool.name, Prepared.INTENDED), f"{pool.name}: {pool.count} slices, {_content_of(folder)}"
        if not _is_prepared(path, source):
            stacks = (stack for stack in open_cohort(folder).stacks() if isinstance(stack, Stack))
            write_slice_dataset(stacks, path, source=source, place=str(folder))

    def _stacks(self, pool: str, prepared: Prepared) -> Iterator[Stack]:
        cohort, folder = open_cohort(self.folder(pool)), self.folder(pool)
        for case in cohort.cases:
            if prepared is Prepared.TWINS:
                name = case.image_path.name
                yield cohort.read(replace(case, image_path=folder / TWIN_IMAGES / name, label_path=folder / TWIN_LABELS / name))
                continue
            stack = cohort.read(case)
            if prepared is Prepared.READ:
                by_filter = cohort.read(replace(case, label_path=folder / READ / case.labelled(cohort.root).name)).labels
                healed = np.where(scar_of(stack.labels), Label.WALL, stack.labels).astype(np.uint8)
                stack = replace(stack, labels=np.where(scar_of(by_filter), by_filter, healed).astype(np.uint8))
            yield stack


def _content_of(folder: Path) -> str:
    """Fingerprint of the slices of a pool: the checksums of its files, as the folder's list has them."""
    files = manifest_of(folder).files
    return digest("".join(f"{name} {files[name].sha256}\n" for name in sorted(files) if name.endswith(ENDING)).encode())[:16]


def _is_prepared(path: Path, source: str) -> bool:
    """Whether a file of prepared slices is there, whole, and made of this source."""
    try:
        return PreparedFile(path).source == source  # after a comparison with the folder's list
    except InputError:
        return False
