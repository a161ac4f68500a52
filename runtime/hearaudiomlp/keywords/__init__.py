"""Probabilities of windows to words; numpy only."""

from hearaudiomlp.keywords.hits import (
    HOP_S,
    MERGE_S,
    QUIET_DB,
    SMOOTHING_S,
    THRESHOLD,
    Hit,
    HitFinder,
    find_hits,
    mask_quiet,
    rms_dbfs,
    softmax,
    window_probabilities,
)

__all__ = [
    "HOP_S",
    "MERGE_S",
    "QUIET_DB",
    "SMOOTHING_S",
    "THRESHOLD",
    "Hit",
    "HitFinder",
    "find_hits",
    "mask_quiet",
    "rms_dbfs",
    "softmax",
    "window_probabilities",
]
