"""A small network on what a frozen encoder computes that names a user's phrases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hearaudiomlp.fitting.alarms import SURE
from hearaudiomlp.fitting.negatives import Projection
from hearaudiomlp.keywords import HOP_S

Array = npt.NDArray[np.float32]

_WIDTH = 128
_CONTEXTS = (3, 2)
_DROPOUT = 0.4
FOLDS = 3
"""Heads, each trained without a third of the examples."""

_BATCH = 256
_LEARNING_RATE = 3e-3
_SHARPNESS = 1.5
"""Of the averaged logits: smoothing over windows asks for probabilities near one."""

_ALARMS_PER_HOUR = 1.0
"""What the limits aim at, on running speech that a head hasn't heard."""

THRESHOLD = 0.55
"""Averaged probability from which a phrase counts as spoken: the threshold in the files' metadata.

Lower than what single windows have to reach, because averaging over neighbours removes most of
those that do: docs/tutorial-words.md has the figures."""

_TAIL = 0.05
"""Share of the windows of running speech that the shape of the tail is estimated from."""


class PhraseHead(nn.Module):
    """Two layers over neighbouring stretches, then what is highest and what is common.

    The order of sounds within a phrase matters, where in the window it is doesn't.
    """

    def __init__(self, size: int, labels: int) -> None:
        """Build an untrained network.

        Args:
            size: of the components.
            labels: their number, that of everything else included.
        """
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(width * context, _WIDTH)
            for width, context in zip((size, _WIDTH), _CONTEXTS, strict=True)
        )
        self.dropout = nn.Dropout(_DROPOUT)
        self.logits = nn.Linear(2 * _WIDTH, labels)

    def forward(self, components: Tensor) -> Tensor:
        """Map components of stretches [shape=(n, 7, size)] to logits [shape=(n, labels)]."""
        x = components
        for layer, context in zip(self.layers, _CONTEXTS, strict=True):
            x = self.dropout(x)
            count = x.shape[1] - context + 1
            x = torch.cat([x[:, first : first + count] for first in range(context)], dim=2)
            x = nn.functional.gelu(layer(x))
        both = torch.cat([x.amax(dim=1), x.mean(dim=1)], dim=1)
        return cast(Tensor, self.logits(self.dropout(both)))


class PhraseHeads(nn.Module):
    """The average of several heads, from the means of stretches to logits."""

    mean: Tensor
    basis: Tensor
    offset: Tensor

    def __init__(self, projection: Projection, heads: Sequence[PhraseHead]) -> None:
        """Put a projection before heads that were trained behind it."""
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(projection.mean))
        self.register_buffer("basis", torch.from_numpy(projection.basis))
        self.register_buffer("offset", torch.zeros(heads[0].logits.out_features))
        self.heads = nn.ModuleList(heads)

    def forward(self, means: Tensor) -> Tensor:
        """Map means [shape=(n, 7, size)] to logits [shape=(n, labels)]."""
        components = (means - self.mean) @ self.basis
        logits = self.heads[0](components)
        for head in list(self.heads)[1:]:
            logits = logits + head(components)
        return cast(Tensor, logits * (_SHARPNESS / len(self.heads)) + self.offset)


@dataclass(frozen=True)
class Examples:
    """Windows to learn from."""

    components: Array
    """Of what the encoder makes of the windows [shape=(n, 7, size)]."""

    labels: npt.NDArray[np.int64]
    """The number of the phrase in each, or that of everything else [shape=(n,)]."""

    groups: npt.NDArray[np.int64]
    """Windows of one speaker, or drawn together, have one number [shape=(n,)]."""

    real: npt.NDArray[np.bool_]
    """Whether a window is from running speech of real people [shape=(n,)]."""


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Return several sets of examples as one."""
    return Examples(
        np.concatenate([part.components for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.groups for part in parts]),
        np.concatenate([part.real for part in parts]),
    )


def align(components: Array, synthetic: Array, real: Array) -> Array:
    """Give synthetic speech the mean and covariance of real speech.

    Without it a network learns to doubt whatever real people say, because it knows them from what
    is to be doubted alone. CORAL: Sun, Feng and Saenko 2016 (arXiv 1511.05547).

    Args:
        components: what is changed [shape=(n, 7, size)].
        synthetic: running speech of synthesizers [shape=(n, 7, size)].
        real: running speech of people [shape=(n, 7, size)].
    """
    size = components.shape[2]
    source, target = synthetic.reshape(-1, size), real.reshape(-1, size)
    root = _power(_covariance(source), -0.5) @ _power(_covariance(target), 0.5)
    aligned = (components - source.mean(axis=0)) @ root + target.mean(axis=0)
    return np.asarray(aligned, np.float32)


def _covariance(rows: Array) -> npt.NDArray[np.float64]:
    covariance = np.cov(rows.astype(np.float64).T)
    return covariance + 0.05 * np.diag(np.diag(covariance))


def _power(matrix: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.maximum(values, 1e-6) ** exponent @ vectors.T)


def fit_heads(  # noqa: PLR0917 - of train_phrases alone
    examples: Examples,
    projection: Projection,
    labels: int,
    seed: int,
    steps: int,
    shown: Callable[[int], None] = lambda _: None,
) -> PhraseHeads:
    """Train a head for each third of the examples that is left out, and calibrate their average.

    Args:
        examples: of all labels.
        projection: that their components come from.
        labels: their number; the last one stands for everything else.
        seed: of the weights and batches.
        steps: of each head.
        shown: called after each step with 1.
    """
    components = torch.from_numpy(examples.components)
    heads, margins = [], []
    for fold in range(FOLDS):
        held_out = examples.groups % FOLDS == fold
        torch.manual_seed(seed * FOLDS + fold)
        head = PhraseHead(components.shape[2], labels)
        rng = np.random.default_rng([seed, 22, fold])
        _train(head, components, examples, ~held_out, rng, steps, shown)
        heads.append(head.eval())
        with torch.inference_mode():
            logits = head(components[torch.from_numpy(held_out & examples.real)])
        margins.append(_margins(logits))
    together = PhraseHeads(projection, heads)
    if any(len(each) for each in margins):
        limits = _limits(torch.cat(margins).numpy())
        together.offset[:-1] = torch.from_numpy(-_SHARPNESS * limits)
    return together


def _train(  # noqa: PLR0917 - of fit_heads alone
    head: PhraseHead,
    components: Tensor,
    examples: Examples,
    used: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    steps: int,
    shown: Callable[[int], None],
) -> None:
    """Train a head on batches of which a third are phrases, each as often, and a fifth real."""
    labels = torch.from_numpy(examples.labels)
    other = head.logits.out_features - 1
    spoken = [np.flatnonzero(used & (examples.labels == label)) for label in range(other)]
    pools = [numbers for numbers in spoken if len(numbers)]
    rest = used & (examples.labels == other)
    doubted = [
        numbers
        for numbers in map(np.flatnonzero, (rest & ~examples.real, rest & examples.real))
        if len(numbers)
    ]
    counts = [max(1, _BATCH * 2 // 5 // len(pools))] * len(pools)
    counts += [_BATCH * 3 // 5 // len(doubted)] * len(doubted)
    optimizer = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        chosen = torch.from_numpy(
            np.concatenate(
                [
                    rng.choice(pool, count)
                    for pool, count in zip([*pools, *doubted], counts, strict=True)
                ]
            )
        )
        loss = nn.functional.cross_entropy(
            head(components[chosen]), labels[chosen], label_smoothing=0.1
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        shown(1)


def _margins(logits: Tensor) -> Tensor:
    """Return by how much each phrase is above all else together [shape=(n, labels - 1)]."""
    columns = range(logits.shape[1] - 1)
    others = [[c for c in range(logits.shape[1]) if c != column] for column in columns]
    rest = torch.stack([logits[:, chosen].logsumexp(dim=1) for chosen in others], dim=1)
    return logits[:, :-1] - rest


def _limits(margins: Array) -> Array:
    """Return the margin that each phrase has to reach for the aimed-at number of false alarms.

    There are too few windows to count one alarm in an hour, so the tail of the margins is continued
    as an exponential one (peaks over threshold; Pickands 1975, with shape 0).
    """
    windows = 3600 / HOP_S / _ALARMS_PER_HOUR * margins.shape[1]
    limits = []
    for column in margins.T:
        start = np.quantile(column, 1 - _TAIL)
        scale = (column[column > start] - start).mean()
        limits.append(start + scale * np.log(_TAIL * windows))
    # A margin at its limit gets the probability at which a word counts as spoken.
    sure = np.log(SURE / (1 - SURE)) / _SHARPNESS
    return np.asarray(np.array(limits) - sure, np.float32)
