"""``hearaudiomlp-export train``: from nothing to a checkpoint."""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from hearaudiomlp import HearAudioMLPError
from hearaudiomlp.cli.options import Parser, count_argument, print_error, print_line
from hearaudiomlp.errors import require_address_space
from hearaudiomlp.figures.style import import_matplotlib
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.storage.stopping import start_tracker
from hearaudiomlp.weights.locate import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from hearaudiomlp_export.train.data.recordings import Recordings
    from hearaudiomlp_export.train.loop import Measure, Task
    from hearaudiomlp_export.train.recipe import Recipe

_NEEDED = ("torch", "scipy", "soundfile", "soxr", "tqdm", "matplotlib")

_NAME = "hearaudiomlp-export train"
_DESCRIPTION = """\
Train an encoder on sounds made here: words by eSpeak NG, Flite and Festival, put into rooms, noise
and telephones; for audiomae music and machines, weather and animals as well. With --recordings
real people are heard beside them, and the validation split is measured on the way. The corpus is
made first and kept; an interrupted run resumes. One seed gives one result on one machine."""


class TrainingOptionError(HearAudioMLPError, ValueError):
    """Options that exclude each other."""


class TrainingExtraMissingError(HearAudioMLPError, ImportError):
    """A package of the extra [train] isn't installed."""


def _file(text: str) -> Path:
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"{text} is a folder: name a file")
    if not path.parent.is_dir():  # or minutes of training would have no place to go
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"a whole number from 0, not {text}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's arguments."""
    parsing = Parser(_NAME, description=_DESCRIPTION)
    parsing.add_argument("name", choices=("kwmlp", "audiomae"))
    parsing.add_argument(
        "-o", "--output", metavar="FILE.pth", type=_file, help="the checkpoint (default: NAME.pth)"
    )
    parsing.add_argument("--seed", type=_seed, default=0, help="of weights and batches (default 0)")
    parsing.add_argument(
        "--steps", type=count_argument, help="instead of the recipe's: fewer for a trial"
    )
    parsing.add_argument(
        "--folder",
        type=Path,
        help="state and log (default: training/NAME-SEED); an interrupted run resumes",
    )
    parsing.add_argument(
        "--corpus", type=Path, default=Path("training/corpus"), help="(default: training/corpus)"
    )
    parsing.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        help="recordings of real people beside the synthetic words: Speech Commands, "
        "a folder per word, or packed with a clips.csv",
    )
    parsing.add_argument(
        "--start",
        metavar="FILE.pth",
        type=Path,
        help="kwmlp: weights to start from instead of random ones",
    )
    parsing.add_argument(
        "--refine",
        action="store_true",
        help="kwmlp: a short second run at a low learning rate, from the weights (--start) of a "
        "run with --recordings; it hears more of the synthetic voices, in more rooms and noise",
    )
    parsing.add_argument(
        "--words",
        metavar="LIST",
        help="kwmlp: a model of words and short phrases of your own, from synthetic speech and, "
        "with --recordings, from recordings: 'lights on, lights off, hey archie'; "
        "writes FILE.onnx (default: words.onnx), its report and FILE.pth",
    )
    parsing.add_argument(
        "--threads",
        type=count_argument,
        help="of torch (default: all usable CPUs); part of 'one machine'",
    )
    parsing.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there already"
    )
    return parsing


def _check_packages() -> None:
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise TrainingExtraMissingError(
                f"{name} is missing: pip install 'hearaudiomlp[cpu,train]'"
            )


def _make_part(folder: Path, name: str) -> None:
    from hearaudiomlp_export.train.data.corpus import Plan, make_part, report_done

    make_part(folder, name, Plan(), report_done)


def prepare_corpus(folder: Path, names: Sequence[str]) -> None:
    """Make the parts of the corpus that aren't there, with a progress bar each.

    Raises:
        SynthesizerMissingError: an engine isn't installed.
        CorpusError: a synthesizer crashed.
    """
    from tqdm import tqdm

    from hearaudiomlp_export.train.data.corpus import Plan, has_part, part_makers
    from hearaudiomlp_export.train.errors import CorpusError

    context = multiprocessing.get_context("spawn")
    for name in names:
        if has_part(folder, name, Plan()):
            continue
        start_tracker()
        progress = context.Queue()
        with part_makers(1, progress) as pool, tqdm(desc=name, unit=" clips", leave=False) as bar:
            making = pool.submit(_make_part, folder, name)
            while not making.done():
                with contextlib.suppress(Empty):
                    done, bar.total = progress.get(timeout=0.2)
                    bar.update(done - bar.n)
            try:
                making.result()
            except BrokenProcessPool as problem:
                raise CorpusError(f"the synthesizer of {name} crashed") from problem


@dataclass(frozen=True)
class _Heard:
    """The recordings that a run uses."""

    fingerprint: str
    folder: Path
    """Where they are, decoded."""

    training: "Recordings"
    validation: "Recordings"


def _prepare_recordings(options: argparse.Namespace) -> _Heard | None:
    """List and decode the recordings, if there are any, with a progress bar."""
    if options.recordings is None:
        return None
    from tqdm import tqdm

    from hearaudiomlp_export.train.data import layouts, recordings

    clips = layouts.list_clips(options.recordings)
    mark = recordings.fingerprint(clips)
    folder = options.corpus / f"recordings-{mark}"
    used = sum(clip.split != layouts.TESTING for clip in clips)
    with tqdm(total=used, desc="recordings", unit=" clips", leave=False) as bar:
        for done in recordings.prepare(clips, folder):
            bar.update(done - bar.n)
    return _Heard(
        mark,
        folder,
        recordings.load(folder, layouts.TRAINING),
        recordings.load(folder, layouts.VALIDATION),
    )


def _output(options: argparse.Namespace) -> Path:
    output: Path = options.output or Path(f"{options.name}.pth")
    return output


def _start(options: argparse.Namespace) -> bytes:
    return Weights(str(options.start), "file").read()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _output_check(options: argparse.Namespace, path: Path) -> Callable[[], None]:
    from hearaudiomlp_export.train.data.recordings import check_train_output

    return partial(
        check_train_output,
        path,
        overwrite=options.overwrite,
        start=options.start,
        recordings=options.recordings,
    )


def _recipe(options: argparse.Namespace, heard: _Heard | None) -> "Recipe":
    from hearaudiomlp_export.train.recipe import RECIPES, RECORDED_RECIPES, REFINING

    recipe = (RECIPES if heard is None else RECORDED_RECIPES)[options.name]
    if options.refine:
        if options.name != "kwmlp" or heard is None or options.start is None:
            raise TrainingOptionError("--refine is for kwmlp, with --recordings and --start")
        recipe = REFINING
    recipe = replace(recipe, seed=options.seed, steps=options.steps or recipe.steps)
    if heard is not None:
        recipe = replace(recipe, recordings=heard.fingerprint)
    if options.start is not None:
        if options.name != "kwmlp":
            raise TrainingOptionError(f"--start is for kwmlp; {options.name} has a decoder besides")
        recipe = replace(recipe, start=hashlib.sha256(_start(options)).hexdigest())
    return recipe


def train(options: argparse.Namespace) -> Path:
    """Prepare the corpus and the recordings, train, save; return the checkpoint's path.

    Raises:
        TrainingExtraMissingError: a package is missing.
        SynthesizerMissingError: a synthesizer is missing.
        RecordingsError: the recordings can't be trained on.
        TrainingStateError: the folder holds another run.
        OSError: something can't be read or written.
    """
    _check_packages()
    import_matplotlib()
    if options.words is not None:
        return _train_phrases(options)
    import torch
    from tqdm import tqdm

    from hearaudiomlp.inference.thread_pool import usable_cpus
    from hearaudiomlp_export.train.data.augment import Augmenter
    from hearaudiomlp_export.train.data.backgrounds import Backgrounds
    from hearaudiomlp_export.train.data.corpus import TRAINING, load_part
    from hearaudiomlp_export.train.data.recordings import write_manifest
    from hearaudiomlp_export.train.loop import Batches, Run
    from hearaudiomlp_export.train.plot import plot_log

    check = _output_check(options, _output(options))
    manifest = _beside(_output(options), ".clips.csv")
    check_manifest = _output_check(options, manifest)
    check()
    if options.recordings is not None:
        check_manifest()
    heard = _prepare_recordings(options)
    recipe = _recipe(options, heard)
    folder = options.folder or Path(f"training/{options.name}-{options.seed}")
    torch.set_num_threads(options.threads or usable_cpus())
    prepare_corpus(options.corpus, TRAINING)
    parts = [load_part(options.corpus, name, recipe.plan) for name in TRAINING]
    recorded = None if heard is None else heard.training
    talkers = parts if recorded is None else [*parts, recorded.words]
    backgrounds = Backgrounds(
        talkers, recipe.plan.seed, recorded=None if recorded is None else recorded.noise
    )
    augmenter = Augmenter(
        parts, recipe.shares, backgrounds, recipe.strength, recipe.seed,
        recordings=recorded, real=recipe.real,
    )  # fmt: skip
    batches = Batches(augmenter, recipe)
    torch.manual_seed(recipe.seed)
    # A batch of its own, far beyond the last step's.
    examples = batches.make(1_000_000_000)[0]
    task, measure = _task(options, recipe, examples, heard)
    run = Run(task, batches, recipe, folder, measure)
    with tqdm(total=recipe.steps, initial=run.step, desc=options.name, unit=" steps") as bar:

        def show(step: int, figures: dict[str, Any]) -> None:
            bar.set_postfix({
                name: f"{value:.3f}"
                for name, value in figures.items()
                if name in ("loss", "merit", "accuracy", "alarms_per_hour") and value is not None
            })  # fmt: skip
            bar.update(step - bar.n)

        run.run(show)
        bar.update(recipe.steps - bar.n)
    if heard is not None:
        write_manifest(heard.folder, manifest, check_manifest)
    with replacing(_output(options), check=check) as file:
        torch.save({"model_state_dict": run.average.checkpoint()}, file)
    plot_log(run.log, folder / "log.png", options.name)
    with replacing(folder / "recipe.json") as file:  # a link is replaced, not followed
        file.write(json.dumps(recipe.as_dict(), indent=1).encode() + b"\n")
    return _output(options)


def _train_phrases(options: argparse.Namespace) -> Path:
    if options.name != "kwmlp":
        raise TrainingOptionError(f"--words is for kwmlp; {options.name} has no keyword head")
    if options.folder is not None:
        raise TrainingOptionError("--words has no state to resume: leave --folder out")
    if options.refine:
        raise TrainingOptionError("--refine is for the 35 keywords: leave --words out")
    for name in ("onnx", "onnxscript", "librosa"):
        if importlib.util.find_spec(name) is None:
            raise TrainingExtraMissingError(
                f"{name} is missing: pip install 'hearaudiomlp[cpu,train,export]'"
            )
    from hearaudiomlp_export.train.phrases import train_phrases

    return train_phrases(options)


def _task(
    options: argparse.Namespace, recipe: "Recipe", examples: "Tensor", heard: _Heard | None
) -> tuple["Task", "Measure | None"]:
    """Return the network to train, and what measures it."""
    from hearaudiomlp.weights.checkpoint import read_checkpoint
    from hearaudiomlp_export.networks.encoders import expected_tensors
    from hearaudiomlp_export.train.data.validation import Validation, rich_words
    from hearaudiomlp_export.train.tasks.audiomae import AutoencoderTask
    from hearaudiomlp_export.train.tasks.kwmlp import KeywordTask

    if options.name == "audiomae":
        return AutoencoderTask(recipe, examples), None
    task = KeywordTask(recipe, examples)
    if options.start is not None:
        expected = {options.name: expected_tensors(options.name)}
        task.start_from(read_checkpoint(_start(options), expected)[1])
    if heard is None:
        return task, None
    validation = Validation(heard.validation, rich_words(heard.training.words))

    def measure(average: "Task") -> dict[str, Any]:
        assert isinstance(average, KeywordTask)
        return asdict(validation.measure(average.logits))

    return task, measure


def main(arguments: Sequence[str]) -> int:
    """Run the subcommand; return its exit code: 0 trained, 1 failed, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        require_address_space(2048, "torch")
        output = train(options)
    except KeyboardInterrupt:
        print_error("interrupted: the same command resumes from here", _NAME)
        return 130
    except (HearAudioMLPError, OSError) as problem:
        print_error(problem, _NAME)
        return 1
    print_line(f"{output}: {output.stat().st_size:,} bytes")
    return 0
