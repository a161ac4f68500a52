"""How many CPUs this process may really use."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cgroup_quota() -> float | None:
    """Return the CPUs that the control group grants (version 2, then 1), None for no limit."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (_CGROUP / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (_CGROUP / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return share if share > 0 else None


def usable_cpus() -> int:
    """Return the number of CPUs after affinity and the container's quota, at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    quota = cgroup_quota()
    if quota is not None:
        count = min(count, max(1, round(quota)))
    return max(1, count)
