"""The ``hearaudiomlp`` command: it finds the subcommand, runs it, and turns errors into words."""

import gc
import os
import sys
import warnings
from typing import TYPE_CHECKING, NoReturn

from hearaudiomlp.cli import interrupts

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run the command; return its exit code.

    0: all done; 1: something failed, as reported; 2: wrong usage, or an output would replace what
    isn't ours; 130: interrupted.

    Examples:
        >>> main(["embed", "nowhere.wav", "-o", "t.npz"])
        1
    """
    from hearaudiomlp.cli.commands import make_parser
    from hearaudiomlp.cli.options import prepare_streams, print_error
    from hearaudiomlp.errors import HearAudioMLPError, OutputExistsError, require_address_space

    arguments = sys.argv[1:] if arguments is None else list(arguments)
    prepare_streams()
    try:
        options = make_parser(next(iter(arguments), None)).parse_args(arguments)
        require_address_space(256, "hearaudiomlp")
        status: int = options.run(options)
    except KeyboardInterrupt:
        print_error("interrupted; nothing was written")
        return 130
    except OutputExistsError as problem:
        print_error(problem)
        return 2
    except (HearAudioMLPError, OSError) as problem:
        print_error(problem)
        return 1
    except MemoryError:
        print_error("there is not enough memory")
        return 1
    except RuntimeError as problem:
        if "start new thread" not in str(problem):
            raise
        print_error("no thread can be started: memory or the number of processes is limited")
        return 1
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as errors are printed, without the place in the code."""
    from hearaudiomlp.cli.options import print_error

    print_error(message)


def process() -> NoReturn:
    """Run the command and exit; signals are handled already."""
    warnings.showwarning = _show_warning
    # PYTHONWARNINGS=error is for programmers: here, what libraries warn of is a line to be read.
    warnings.filters[:] = [one for one in warnings.filters if one[0] != "error"]  # type: ignore[index]
    # numpy is about to be imported, and does little algebra here but for maps. Its BLAS would
    # start a thread for each core, and these spin for the first tenth of a second.
    if sys.argv[1:2] != ["map"]:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # No output of ours has a date, but matplotlib and NumPy's f2py stop where this is no number.
    os.environ.pop("SOURCE_DATE_EPOCH", None)
    status = main()
    interrupts.ignore()
    gc.freeze()  # or Python scans everything once more for garbage
    sys.exit(interrupts.status(status))
