"""Jobs in processes and on Ray: the same results, errors that come back, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lgesynthnet.benchmark.jobs import executor
from lgesynthnet.errors import RunError

ORPHANS = """
import os, sys, time
from lgesynthnet.benchmark.jobs import executor
if __name__ == "__main__":
    with executor(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_jobs_run_elsewhere_and_their_errors_come_back():
    with executor(2) as pool:
        assert pool.submit(pow, 3, 4).result() == 81
        assert pool.submit(os.getpid).result() != os.getpid()
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "scar").result()


def test_an_error_stops_what_still_runs():
    jobs = []

    def interrupted():
        with executor(1) as pool:
            pool.submit(pow, 1, 1).result()
            jobs.append(pool.submit(time.sleep, 600))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert jobs[0].cancelled() or jobs[0].exception(timeout=60) is not None  # stopped; a job that was waited for would have a result


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_killed_parent_leaves_no_orphan(tmp_path):
    (tmp_path / "parent.py").write_text(ORPHANS)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = f"/proc/{pid}/stat"  # one that nobody has buried yet does not run
    return not (Path(status).exists() and Path(status).read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_ray_that_is_not_there_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"lgesynthnet\[cluster\]"), executor(1, ray="local"):
        pass


def test_on_ray_a_job_gives_the_same():
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    with executor(1, ray="local") as pool:
        assert pool.submit(pow, 3, 4).result() == 81
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "scar").result()
