"""The command that makes a run again, rebuilt from its plan: whoever finds the folder need not ask who made it."""

from __future__ import annotations

import shlex
from typing import Any

from lgesynthnet.run.summary import Summary

# Option and entry of the plan; an entry that holds the default is left out.
_VALUES: tuple[tuple[str, str, Any], ...] = (
    ("--hosts", "hosts", None),
    ("--dataset", "dataset", None),
    ("--labels", "labels", None),
    ("--landmarks", "landmarks", None),
    ("--model", "model", None),
    ("--filter", "filter", None),
    ("--count", "count", None),
    ("--text", "text", None),
    ("--prescriptions", "prescriptions_file", None),
    ("--prior", "prior", None),
    ("--seed", "seed", None),
    ("--dice-above", "dice_above", None),
    ("--max-attempts", "max_attempts", None),
    ("--max-seconds", "max_seconds", None),
    ("--device", "device", "auto"),
)
_SWITCHES = (
    ("--hosts-with-scar", "hosts_with_scar"),
    ("--keep-all", "keep_all"),
    ("--dice-only", "dice_only"),
    ("--balance", "balance"),
    ("--strict", "strict"),
)


def command_of(summary: Summary) -> str | None:
    """One line for a shell; None where the plan was not recorded."""
    plan = summary.plan
    if "hosts" not in plan:
        return None
    words = ["lgesynthnet", "synthesize"]
    for option, key, default in _VALUES:
        if plan.get(key) not in (None, default):
            words += [option, str(plan[key])]
    if plan.get("base_first") is not None:
        words.append("--base-first" if plan["base_first"] else "--apex-first")
    if any(summary.flip):
        words += ["--flip", {(True, False): "rows", (False, True): "columns", (True, True): "both"}[summary.flip]]
    words += [option for option, key in _SWITCHES if plan.get(key)]
    shard = plan.get("shard") or {}
    if shard.get("of", 1) > 1:
        words += ["--shard", f"{shard['index']}/{shard['of']}"]
    return shlex.join([*words, "--out", str(summary.run)])
