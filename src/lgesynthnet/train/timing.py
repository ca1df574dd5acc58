"""Times a few training steps, for the estimate of a dry run."""

from __future__ import annotations

import time

import numpy as np
import torch

from lgesynthnet.terms import Precision
from lgesynthnet.threads import one_thread
from lgesynthnet.train.loop import Task

TIMED_STEPS = 3


def seconds_per_step(task: Task, batch: int, precision: Precision) -> float:
    """Seconds of the fastest of a few training steps, without that of the optimiser, where the network of the task lies.

    Args:
        batch: examples in a step.
    """
    device, seconds = next(task.trained.parameters()).device, []
    with one_thread():
        for step in range(TIMED_STEPS):
            began = time.monotonic()
            with torch.autocast(device.type, torch.bfloat16, enabled=precision is Precision.BF16):
                loss = task.loss(np.random.default_rng(step), batch)
            torch.autograd.backward(loss)
            float(loss.detach())  # a GPU is waited for
            seconds.append(time.monotonic() - began)
    return min(seconds)
