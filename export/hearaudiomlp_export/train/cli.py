"""``hearaudiomlp-export train``: from nothing to a checkpoint."""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue

from hearaudiomlp import HearAudioMLPError
from hearaudiomlp.storage.atomic import replacing

_NEEDED = ("torch", "scipy", "soundfile", "soxr", "tqdm", "matplotlib")

_DESCRIPTION = """\
Train an encoder from nothing on sounds made here: words by eSpeak NG, Flite and Festival, put
into rooms, noise and telephones; for audiomae music and machines, weather and animals as well.
The corpus is made first and kept; a run that was interrupted goes on where it was. One seed gives
one result on one machine."""


class TrainingExtraMissingError(HearAudioMLPError, ImportError):
    """A package of the extra [train] isn't installed."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's arguments."""
    parsing = argparse.ArgumentParser("hearaudiomlp-export train", description=_DESCRIPTION)
    parsing.add_argument("name", choices=("kwmlp", "audiomae"))
    parsing.add_argument(
        "-o", "--output", metavar="FILE.pth", type=Path, help="the checkpoint (default: NAME.pth)"
    )
    parsing.add_argument("--seed", type=int, default=0, help="of weights and batches (default 0)")
    parsing.add_argument("--steps", type=int, help="instead of the recipe's: fewer for a trial")
    parsing.add_argument(
        "--folder", type=Path, help="state and log (default: training/NAME-SEED); a run goes on"
    )
    parsing.add_argument(
        "--corpus", type=Path, default=Path("training/corpus"), help="(default: training/corpus)"
    )
    parsing.add_argument(
        "--threads", type=int, help="of torch (default: all usable CPUs); part of 'one machine'"
    )
    return parsing


def _check_packages() -> None:
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise TrainingExtraMissingError(
                f"{name} is missing: pip install 'hearaudiomlp[cpu,train]'"
            )


def _make_part(folder: Path, name: str, progress: "Queue[tuple[int, int]]") -> None:
    from hearaudiomlp_export.train.data.corpus import Plan, make_part

    make_part(folder, name, Plan(), lambda _, done, total: progress.put((done, total)))


def prepare_corpus(folder: Path, names: Sequence[str]) -> None:
    """Make the parts of the corpus that aren't there, with a progress bar each.

    Each is made in a process of its own: what eSpeak NG says depends a little on what it has said
    before, and a synthesizer that crashes takes nothing else with it.

    Raises:
        SynthesizerMissingError: an engine isn't installed.
        CorpusError: a synthesizer crashed.
    """
    from tqdm import tqdm

    from hearaudiomlp_export.train.data.corpus import Plan, has_part
    from hearaudiomlp_export.train.errors import CorpusError

    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        for name in names:
            if has_part(folder, name, Plan()):
                continue
            progress = manager.Queue()
            with (
                ProcessPoolExecutor(1, mp_context=context) as pool,
                tqdm(desc=name, unit=" clips", leave=False) as bar,
            ):
                making = pool.submit(_make_part, folder, name, progress)
                while not making.done() or not progress.empty():
                    with contextlib.suppress(Empty):
                        done, bar.total = progress.get(timeout=0.2)
                        bar.update(done - bar.n)
                try:
                    making.result()
                except BrokenProcessPool as problem:
                    raise CorpusError(f"the synthesizer of {name} crashed") from problem


def train(options: argparse.Namespace) -> Path:
    """Make the corpus, train, save; return the checkpoint's path.

    Raises:
        TrainingExtraMissingError: a package is missing.
        SynthesizerMissingError: a synthesizer is missing.
        TrainingStateError: the folder holds another run.
        OSError: something can't be written.
    """
    _check_packages()
    import torch
    from tqdm import tqdm

    from hearaudiomlp.inference.cpus import usable_cpus
    from hearaudiomlp_export.train.data.augment import Augmenter, Backgrounds
    from hearaudiomlp_export.train.data.corpus import TRAINING, load_part
    from hearaudiomlp_export.train.loop import Batches, Run
    from hearaudiomlp_export.train.plot import plot_log
    from hearaudiomlp_export.train.recipe import RECIPES
    from hearaudiomlp_export.train.tasks.audiomae import AutoencoderTask
    from hearaudiomlp_export.train.tasks.kwmlp import KeywordTask

    recipe = replace(RECIPES[options.name], seed=options.seed)
    if options.steps:
        recipe = replace(recipe, steps=options.steps)
    output = options.output or Path(f"{options.name}.pth")
    folder = options.folder or Path(f"training/{options.name}-{options.seed}")
    torch.set_num_threads(options.threads or usable_cpus())
    prepare_corpus(options.corpus, TRAINING)
    parts = [load_part(options.corpus, name, recipe.plan) for name in TRAINING]
    backgrounds = Backgrounds(parts, recipe.plan.seed)
    batches = Batches(
        Augmenter(parts, recipe.shares, backgrounds, recipe.strength, recipe.seed), recipe
    )
    torch.manual_seed(recipe.seed)
    # A batch of its own, far beyond the last step's.
    examples, _ = batches.make(1_000_000_000)
    make: Callable[..., KeywordTask | AutoencoderTask] = (
        KeywordTask if options.name == "kwmlp" else AutoencoderTask
    )
    run = Run(make(recipe, examples), batches, recipe, folder)
    with tqdm(total=recipe.steps, initial=run.step, desc=options.name, unit=" steps") as bar:

        def show(step: int, figures: dict[str, float]) -> None:
            bar.set_postfix(loss=f"{figures['loss']:.3f}", merit=f"{figures['merit']:.3f}")
            bar.update(step - bar.n)

        run.run(show)
        bar.update(recipe.steps - bar.n)
    with replacing(output) as file:
        torch.save({"model_state_dict": run.average.checkpoint()}, file)
    plot_log(folder / "log.jsonl", folder / "log.png", options.name)
    (folder / "recipe.json").write_text(json.dumps(recipe.as_dict(), indent=1) + "\n")
    return output


def main(arguments: Sequence[str]) -> int:
    """Run the subcommand; return its exit code: 0 trained, 1 failed, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        output = train(options)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return 130
    except (HearAudioMLPError, OSError) as problem:
        print(f"hearaudiomlp-export train: {problem}", file=sys.stderr)
        return 1
    print(f"{output}: {output.stat().st_size:,} bytes")
    return 0
