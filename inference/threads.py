"""How many threads a session may use: what the cgroup allows, not what the host has."""

from __future__ import annotations

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available() -> int:
    """CPUs of this process's affinity, cut to the cgroup v2 quota (`cpu.max`: "quota period" in microseconds)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return count
    return count if quota == "max" else max(1, min(count, math.floor(int(quota) / int(period))))
