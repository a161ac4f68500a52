"""How many CPUs this process may really use."""

import os

_CGROUP = "/sys/fs/cgroup"


def _content(name: str) -> str:
    with open(f"{_CGROUP}/{name}") as file:
        return file.read()


def cgroup_quota() -> float | None:
    """Return the CPUs that the control group grants (version 2, then 1), None for no limit."""
    try:
        quota, period = _content("cpu.max").split()
    except (OSError, ValueError):
        try:
            quota = _content("cpu/cpu.cfs_quota_us")
            period = _content("cpu/cpu.cfs_period_us")
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
