"""The training loop: batches made ahead, a state that a run resumes from, a log to plot."""

import contextlib
import copy
import hashlib
import io
import json
import math
import pickle
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hearaudiomlp.storage.atomic import open_regular, replacing
from hearaudiomlp.storage.ownership import MARK_FILE, describe_kind, read_sealed, seal
from hearaudiomlp.weights.locate import read_ordinary
from hearaudiomlp_export.train.data.augment import Augmenter
from hearaudiomlp_export.train.errors import TrainingStateError
from hearaudiomlp_export.train.recipe import Recipe

LOG_EVERY = 25
SAVE_EVERY = 250
MEASURE_EVERY = 500

_LARGEST_STATE = 1 << 30
_DIGEST = hashlib.sha256().digest_size
_MALFORMED = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What torch and json raise about a state whose SHA-256 anybody could have computed."""

Batch = tuple[Tensor, Tensor, Tensor]
Measure = Callable[["Task"], dict[str, Any]]
Shown = Callable[[int, dict[str, Any]], None]


class Task(nn.Module, ABC):
    """A network and what it is trained for."""

    @abstractmethod
    def loss(
        self,
        windows: Tensor,
        labels: Tensor,
        possible: Tensor,
        rng: np.random.Generator,
        progress: float,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss, and a figure of merit that is shown beside it."""

    @abstractmethod
    def checkpoint(self) -> dict[str, Tensor]:
        """Return the weights under their published names."""


def fast_bfloat16(device: torch.device) -> bool:
    """Return whether ``device`` multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def _rate(recipe: Recipe, step: int) -> float:
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    falls = max(recipe.warm_up, recipe.level * recipe.steps)
    done = max(0.0, step - falls) / max(1.0, recipe.steps - falls)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _decayed_and_not(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Biases and the scales of LayerNorms are not decayed."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event; the second one interrupts as always.

    Raised in the middle of a step, it would leave some weights updated and others not.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


class Batches:
    """Batches in order, the next one made while the present one is used."""

    def __init__(self, augmenter: Augmenter, recipe: Recipe) -> None:
        self._augmenter = augmenter
        self._recipe = recipe

    def make(self, number: int) -> Batch:
        """Return batch ``number``."""
        return self._augmenter.batch(number, self._recipe.batch, self._recipe.mix)

    def iterate(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches from ``start`` to before ``stop``."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.make, start)
            for number in range(start, stop):
                batch = coming.result()
                if number + 1 < stop:
                    coming = pool.submit(self.make, number + 1)
                yield batch


class Run:
    """One training run in its folder.

    ``state.pt`` is what it resumes from, ``log.jsonl`` what is plotted, ``latest.pth`` a checkpoint
    of the averaged weights so far, which can be tried while training continues.
    """

    def __init__(
        self,
        task: Task,
        batches: Batches,
        recipe: Recipe,
        folder: Path,
        measure: Measure | None = None,
    ) -> None:
        """Prepare, or take up what an interrupted run left in ``folder``.

        Args:
            task: the network to train.
            batches: what it is trained on.
            recipe: the figures.
            folder: of the run.
            measure: called with the averaged weights every ``MEASURE_EVERY`` steps and at the end;
                what it returns goes into the log.

        Raises:
            TrainingStateError: the folder holds another recipe's run, a damaged state, or what is
                no run.
        """
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.task = task.to(self.device).train()
        self.average = copy.deepcopy(self.task)
        self.step = 0
        self.log: list[dict[str, Any]] = []
        self._batches = batches
        self._recipe = recipe
        self._folder = folder
        self._measure = measure
        groups = _decayed_and_not(self.task, recipe.weight_decay)
        self._optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self._half = fast_bfloat16(self.device)
        self._claim()
        if self._state.exists():
            self._resume()

    @property
    def _state(self) -> Path:
        return self._folder / "state.pt"

    def _claim(self) -> None:
        """Create the folder with its mark, or make sure that it is a run's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        mark = self._folder / MARK_FILE
        if not any(self._folder.iterdir()):
            with replacing(mark) as file:
                file.write(seal({"folder of": "a training run"}))
        try:
            with open_regular(mark) as file:
                ours = read_sealed(file) is not None
        except OSError:
            ours = False
        if not ours:
            raise TrainingStateError(
                f"{self._folder} holds something else than a training run; name another folder"
            )
        for path in (self._state, self._folder / "log.jsonl"):
            if kind := describe_kind(path):
                raise TrainingStateError(f"{path} is {kind}")

    def _resume(self) -> None:
        try:
            data = read_ordinary(str(self._state), _LARGEST_STATE)
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:  # torch doesn't compare
                raise ValueError("it is damaged")
            saved = io.BytesIO(data[_DIGEST:])
            state = torch.load(saved, map_location=self.device, weights_only=True)
            others = json.loads(state["recipe"]) != json.loads(json.dumps(self._recipe.as_dict()))
            if not others:
                self.task.load_state_dict(state["task"])
                self.average.load_state_dict(state["average"])
                self._optimizer.load_state_dict(state["optimizer"])
                self.step = int(state["step"])
                self.log = [dict(entry) for entry in json.loads(state["log"])]
                if not 0 <= self.step <= self._recipe.steps:
                    raise ValueError(f"step {self.step} of {self._recipe.steps}")
        except _MALFORMED as problem:
            raise TrainingStateError(f"{self._state} is no training state: {problem}") from problem
        if others:
            raise TrainingStateError(
                f"{self._folder} holds a run with other settings; name another folder"
            )
        self._write_log()  # what came after the saved state is done again

    def _save(self) -> None:
        saved = io.BytesIO()
        torch.save(
            {
                "recipe": json.dumps(self._recipe.as_dict()),
                "task": self.task.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "step": self.step,
                "log": json.dumps(self.log),
            },
            saved,
        )
        with replacing(self._state) as file:
            file.write(hashlib.sha256(saved.getbuffer()).digest())
            file.write(saved.getbuffer())

    def _write_log(self) -> None:
        """Write what was logged, for whoever wants to look at it: it isn't read again."""
        with replacing(self._folder / "log.jsonl", durable=False) as file:
            file.write("".join(f"{json.dumps(entry)}\n" for entry in self.log).encode())

    def run(self, shown: Shown) -> None:
        """Train to the recipe's last step.

        Args:
            shown: called with the step and its figures, every ``LOG_EVERY`` steps.

        Raises:
            KeyboardInterrupt: after Ctrl-C; the step under way has been finished and saved.
        """
        recipe = self._recipe
        started, cpu = time.monotonic(), time.process_time()
        sums, counted = torch.zeros(2), 0
        with _deferred_interrupt() as interrupted:
            for batch in self._batches.iterate(self.step, recipe.steps):
                sums += self._advance(*batch)
                counted += 1
                if self.step % LOG_EVERY == 0:
                    figures: dict[str, Any] = {
                        "loss": float(sums[0]) / counted,
                        "merit": float(sums[1]) / counted,
                        "learning_rate": _rate(recipe, self.step),
                        "seconds": round(time.monotonic() - started, 1),
                        "cpu_seconds": round(time.process_time() - cpu, 1),
                    }
                    sums, counted = torch.zeros(2), 0
                    if self.step % MEASURE_EVERY == 0 or self.step == recipe.steps:
                        figures |= self._look()
                    self.log.append({"step": self.step, **figures})
                    self._write_log()
                    shown(self.step, figures)
                if interrupted.is_set():
                    self._save()
                    raise KeyboardInterrupt
                if self.step % SAVE_EVERY == 0:
                    self._save()
        self._save()

    def _look(self) -> dict[str, Any]:
        """Write the weights so far, and measure them."""
        with replacing(self._folder / "latest.pth") as file:
            torch.save({"model_state_dict": self.average.checkpoint()}, file)
        return self._measure(self.average) if self._measure is not None else {}

    def _advance(self, windows: Tensor, labels: Tensor, possible: Tensor) -> Tensor:
        rng = np.random.default_rng([self._recipe.seed, 8, self.step])
        for group in self._optimizer.param_groups:
            group["lr"] = _rate(self._recipe, self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            loss, merit = self.task.loss(
                windows.to(self.device),
                labels.to(self.device),
                possible.to(self.device),
                rng,
                self.step / self._recipe.steps,
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.task.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        decay = min(self._recipe.averaging, self.step / (self.step + 9))
        with torch.no_grad():
            averaged: list[Tensor] = list(self.average.parameters())
            latest: list[Tensor] = list(self.task.parameters())
            torch._foreach_lerp_(averaged, latest, 1 - decay)
        return torch.stack([loss.detach(), merit.detach()]).float().cpu()
