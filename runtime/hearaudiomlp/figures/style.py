"""matplotlib as it comes: no file, variable or earlier setting has a say in our pictures."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePath

from hearaudiomlp.errors import needs_extra
from hearaudiomlp.storage.stopping import when_stopped

_until_exit = ExitStack()


def import_matplotlib() -> None:
    """Import matplotlib, for a command, without settings from the current folder.

    A ``matplotlibrc`` there comes first, whatever the variables say: it may be a pipe, or have TeX
    run as a program. While matplotlib is imported, there is none. In a process of somebody else,
    who may want their own settings later, matplotlib is imported as always.

    Where it has no folder for its cache (a home that can't be written to), it makes a temporary
    one, which it removes itself unless a signal ends the process; and it doesn't say so, with the
    home's name as it is.

    Examples:
        >>> import_matplotlib()
    """
    if "matplotlib" in sys.modules:
        return
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    folder = os.environ.get("MPLCONFIGDIR")

    def remove_cache() -> None:
        made = os.environ.get("MPLCONFIGDIR", "")
        if made != folder and PurePath(made).name.startswith("matplotlib-"):
            shutil.rmtree(made, ignore_errors=True)

    _until_exit.enter_context(when_stopped(remove_cache))
    exists = os.path.exists
    theirs = {name: os.environ.pop(name, None) for name in ("MATPLOTLIBRC", "MPLBACKEND")}

    def elsewhere(path: str) -> bool:
        return path != "matplotlibrc" and exists(path)

    os.path.exists = elsewhere  # type: ignore[assignment]
    os.environ["MATPLOTLIBRC"] = os.devnull
    try:
        import matplotlib  # noqa: F401
    except (ImportError, OSError):
        pass  # default_style says so
    finally:
        os.path.exists = exists
        del os.environ["MATPLOTLIBRC"]
        os.environ.update({name: value for name, value in theirs.items() if value is not None})


@contextmanager
def default_style(extra: str = "plot", what: str = "pictures need matplotlib") -> Iterator[None]:
    """Draw and write with matplotlib's defaults within the block or function.

    Args:
        extra: that has matplotlib.
        what: what needs it.

    Raises:
        MissingPackageError: matplotlib isn't installed.

    Examples:
        >>> with default_style():
        ...     from matplotlib.figure import Figure
        ...     Figure(figsize=(3, 2)).savefig("empty.png")
    """
    with needs_extra(extra, what):
        import matplotlib as mpl
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
