"""Same seed, same bytes on 1 and 2 threads: oneDNN chooses its kernels by thread count, so it is left out (about 4 % slower)."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def same_on_any_thread_count() -> AbstractContextManager[None]:
    """Context in which CPU results do not depend on the number of threads; across processors a tolerance remains."""
    # allow_tf32=None leaves that flag alone; setting it warns on every machine without an Intel GPU.
    return torch.backends.mkldnn.flags(enabled=False, allow_tf32=None)
