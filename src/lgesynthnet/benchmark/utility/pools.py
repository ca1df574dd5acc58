"""Synthetic slices for the utility experiment: ordinary run folders, to be looked at, evaluated and exported like any other."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.benchmark.utility.plan import Choice, Pool
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import RunError
from lgesynthnet.phantom.cohort import write_cohort
from lgesynthnet.records import Label, Stack, scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.painters import Painter, load_painter
from lgesynthnet.synthesis.planning import SynthesisRequest, plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Method, Role
from lgesynthnet.train.examples.files import PreparedFile
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, write_slice_dataset

SCARRED_A_PATIENT = 4  # slices with scar that a simulated patient has at the least, on average
ALL = Choice()
HOPELESS = 0.02  # share of usable samples below which nothing more is painted
ROOM = 1.1  # attempts beyond what the filter's rate so far asks for


@dataclass(frozen=True, kw_only=True)
class SamplePools:
    """Where the pools of one experiment lie.

    Attributes:
        dataset, labels: what the hosts' labels mean, see `open_cohort`.
    """

    workshop: TrainedMethods
    out: Path
    dataset: str | None = None
    labels: str | None = None
    prior: str = "ischaemic"
    seed: int = 0

    def run(self, pool: str) -> Path:
        return self.out / "pools" / pool

    def whole(self, pool: str, *, read: bool = False) -> Path:
        """The pool's slices as a segmenter is trained on them."""
        return self.out / "prepared" / f"{pool}{'-read' if read else ''}.safetensors"

    def fill(self, pool: Pool, *, read: bool = False, tell: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Paint what is missing and prepare it; what is there is not painted again.

        Args:
            read: prepare it with the filter's labels besides.
            tell: done and all of this pool's samples.
        Raises:
            RunError: the filter keeps too little to ever reach the size.
        """
        if pool.method is None:
            self._simulate(pool)
            return
        self._paint(pool, tell)
        for labels in (False, True) if read else (False,):
            source = f"{pool.name}: {len(self.samples(pool.name))} samples"
            path = self.whole(pool.name, read=labels)
            if not path.is_file() or PreparedFile(path).source != source:
                write_slice_dataset(self._stacks(pool.name, read=labels), path, source=source, place=str(self.run(pool.name)))

    def slices(self, pool: str, size: int, *, kept: bool, read: bool = False, choice: Choice = ALL) -> SliceDataset:
        """The first `size` slices of the choice, and of them all or those that the filter kept.

        Raises:
            RunError: there are fewer.
        """
        made = read_slice_dataset(self.whole(pool, read=read))
        if not (self.run(pool) / "samples.csv").is_file():  # simulated patients
            index = np.flatnonzero(made.scarred)
        else:
            good = {name for name, ok in self.samples(pool, choice).items() if ok or not kept}
            index = np.array([i for i, name in enumerate(made.patients) if name in good], dtype=int)
        if len(index) < size:
            raise RunError(f"{self.run(pool)}: holds {len(index)} usable slices, wanted are {size}; the same command paints more")
        return made.taken(index[:size])

    def samples(self, pool: str, choice: Choice = ALL) -> dict[str, bool]:
        """Painted samples of the choice in the order of their attempts, and whether the filter kept each."""
        path = self.run(pool) / "samples.csv"
        if not path.is_file():
            return {}
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["file"]]
        return {row["id"]: row["kept"] == "1" for row in rows if choice.takes(row["host"], _asked_brightness(row))}

    def _paint(self, pool: Pool, tell: Callable[[int, int], None]) -> None:
        painter: Painter | None = None
        while True:
            known, wanted = self.samples(pool.name), self.samples(pool.name, pool.choice)
            kept = sum(wanted.values())
            if len(wanted) >= pool.count and kept >= pool.kept:
                return
            useful = kept if pool.kept else len(wanted)
            if len(known) >= max(100, pool.count) and useful < HOPELESS * len(known):
                raise RunError(
                    f"{self.run(pool.name)}: of {len(known)} samples {len(wanted)} are of the chosen brightness and hosts, and the filter "
                    f"kept {kept} of them; see its report: the model does not fit these hosts, or the choice is too narrow"
                )
            usable, rate = len(wanted) / len(known) if wanted else 1.0, kept / len(wanted) if kept else 1.0
            lacking = max(pool.count - len(wanted), (pool.kept - kept) / rate, 0)
            missing = math.ceil(lacking / usable * (ROOM if usable * rate < 1 else 1))
            request = SynthesisRequest(
                hosts=self.workshop.cohort.root,
                dataset=self.dataset,
                labels=self.labels,
                count=len(known) + missing,
                model=pool.model or (pool.method.value if pool.method else ""),
                prior=self.prior,
                patients=pool.patients,
                keep_all=True,
                seed=self.seed,
            )
            before = len(known)
            painter = painter or self._painter(pool)
            planned = plan_synthesis(request, painter=painter)
            synthesize(planned, self.run(pool.name), on_attempt=lambda done, _, all_=request.count: tell(done, all_))  # type: ignore[misc]
            if len(self.samples(pool.name)) == before:
                raise RunError(f"{self.run(pool.name)}: nothing more can be painted; look at its report")

    def _painter(self, pool: Pool) -> Painter:
        if pool.model is not None:
            return load_painter(pool.model, "cpu")
        workshop = self.workshop
        folder = workshop.filter()
        if folder is None:
            raise RunError(
                f"{workshop.models or workshop.work}: holds no filter; train it with `lgesynthnet train scar-segmenter --role filter`"
            )
        method = pool.method or Method.LGESYNTHNET
        return Painter(
            name=method.value, generator=workshop.painter(method), reader=TrainedScarSegmenter.from_pretrained(folder, Role.FILTER)
        )

    def _simulate(self, pool: Pool) -> None:
        path, source = self.whole(pool.name), f"{pool.name}: {pool.count} slices"
        if path.is_file() and PreparedFile(path).source == source:
            return
        folder = write_cohort(self.run(pool.name), patients=math.ceil(pool.count / SCARRED_A_PATIENT) + 2, seed=self.seed, positive=1.0)
        stacks = (stack for stack in open_cohort(folder).stacks() if isinstance(stack, Stack))
        write_slice_dataset(stacks, path, source=source, place=str(folder))

    def _stacks(self, pool: str, *, read: bool) -> Iterator[Stack]:
        cohort = open_cohort(self.run(pool))
        for case in cohort.cases:
            stack = cohort.read(case)
            if read:
                seen = cohort.read(replace(case, label_path=self.run(pool) / "read" / case.label_path.name)).labels
                labels = np.where(scar_of(stack.labels), Label.WALL, stack.labels).astype(np.uint8)
                stack = replace(stack, labels=np.where(scar_of(seen), seen, labels).astype(np.uint8))
            yield stack


def _asked_brightness(row: dict[str, str]) -> float:
    """Percentile of the scars' brightness that a sample was asked for."""
    return float(json.loads(row["prescription"])["intensity_percentile"])
