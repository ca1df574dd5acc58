"""The shortest way to see the program work: it simulates hearts, paints scars into them and writes a report. It needs no data."""

from __future__ import annotations

import shutil
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.records import OnCase
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import OnAttempt, RunResult, synthesize
from lgesynthnet.terms import Prior

PATIENTS = 4


def simulated_hosts(out: Path, *, seed: int = 0, on_host: OnCase | None = None) -> Path:
    """The folder `OUT/hosts`, made once and found again by a second demo; it is complete or not there."""
    from lgesynthnet.phantom.cohort import simulate_patients

    hosts, making = out / "hosts", out / ".hosts.partial"
    if hosts.is_dir():
        return hosts
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        simulate_patients(making, patients=PATIENTS, seed=seed, positive=0.0, on_progress=on_host)
        making.replace(hosts)
    except OSError as fault:
        raise RunError(f"{out}: cannot be written ({fault.strerror or fault}); choose a writable --out folder") from None
    return hosts


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
    run = out / "run"
    return synthesize(plan_synthesis(request, run=run), run, on_attempt=on_attempt)
