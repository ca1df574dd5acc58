"""`scripts/gpu_check.py` itself: on the CPU, with the tiny recipe, every line of it runs; without a GPU it says so and stops."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROJECT = Path(__file__).resolve().parents[2]


def check(*options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "scripts/gpu_check.py", *options]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.long
def test_the_check_runs_on_the_cpu():
    done = check("--device", "cpu", "--samples", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    stages = [line for line in done.stdout.splitlines() if line.startswith("tiny ")]
    assert len(stages) == 11
    assert "pixels differ from those of the CPU by 0.00% on average, by 0.00% at most" in done.stdout
    assert "all is well on cpu" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_checked():
    done = check()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("no check was made: --device cuda: ")
    assert done.stderr.count("\n") == 1
