"""Warnings that point at the caller's line, not at one of ours, and that are said once."""

import os
import sys
import warnings

_PACKAGE = os.path.dirname(__file__)
_said: set[str] = set()


def warn_once(topic: str, message: str, category: type[Warning]) -> None:
    """Warn with ``message``, unless this process has been warned of ``topic`` before."""
    if topic in _said:
        return
    _said.add(topic)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
