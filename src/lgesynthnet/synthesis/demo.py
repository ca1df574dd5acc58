"""The shortest way to see the program work: it simulates hearts, paints scars into them and writes a report. It needs no data."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import require_claimable
from lgesynthnet.records import OnCase
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import OnAttempt, RunResult, synthesize
from lgesynthnet.terms import Prior

PATIENTS = 4
RUN = "run"


def simulated_hosts(out: Path, *, seed: int = 0, on_host: OnCase | None = None) -> Path:
    """The folder `OUT/hosts`, made once and found again by a second demo with the same seed.

    Raises:
        RunError: `OUT/hosts` or `OUT/run` was not made by a demo, or with another seed; then nothing is written.
    """
    from lgesynthnet.phantom.cohort import simulate_patients

    require_claimable(out / RUN, FolderKind.RUN)
    return simulate_patients(out / "hosts", patients=PATIENTS, seed=seed, positive=0.0, on_progress=on_host)


def paint_into(
    hosts: Path,
    out: Path,
    *,
    model: str = "phantom",
    count: int = 12,
    seed: int = 0,
    on_attempt: OnAttempt | None = None,
) -> RunResult:
    """Paint ischaemic scars into the hosts; the run folder is `OUT/run`.

    Args:
        on_attempt: see `synthesize`.
    Raises:
        LGESynthNetError: see `plan_synthesis` and `synthesize`.
    """
    request = SynthesisRequest(hosts=CohortSource(root=hosts), model=model, count=count, prior=Prior.ISCHAEMIC, seed=seed)
    run = out / RUN
    return synthesize(plan_synthesis(request, run=run), run, on_attempt=on_attempt)
