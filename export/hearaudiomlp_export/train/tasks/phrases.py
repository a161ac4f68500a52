"""A small network on the phonemes of a window that names a user's phrases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hearaudiomlp.fitting.alarms import SURE
from hearaudiomlp.keywords import HOP_S
from hearaudiomlp_export.networks.phonemes import PHONEMES, PhonemeNetwork

Array = npt.NDArray[np.float32]

_WIDTHS = (len(PHONEMES), 32, 64, 64)
_CONTEXTS = (5, 5, 7)
_STRIDES = (2, 1, 2)
_DROPOUT = 0.2
FOLDS = 3
"""Heads, each trained without a third of the examples."""

_BATCH = 256
_LEARNING_RATE = 3e-3
_SHARPNESS = 1.5
"""Of the averaged logits: smoothing over windows asks for probabilities near one."""

_ALARMS_PER_HOUR = 1.0
"""What the limits aim at, on running speech that a head hasn't heard."""

THRESHOLD = 0.5
"""Averaged probability from which a phrase counts as spoken: the threshold in the files' metadata.

Lower than what single windows have to reach, because averaging over neighbours removes most of
those that do: docs/tutorial-words.md has the figures."""

_TAIL = 0.05
"""Share of the windows of running speech that the shape of the tail is estimated from."""


class PhraseHead(nn.Module):
    """Three convolutions over time, then what is highest and what is common.

    The order of sounds within a phrase matters, where in the window it is doesn't.
    """

    def __init__(self, labels: int) -> None:
        """Build an untrained network for so many labels, that of everything else included."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(_WIDTHS[number], _WIDTHS[number + 1], context, stride, context // 2)
            for number, (context, stride) in enumerate(zip(_CONTEXTS, _STRIDES, strict=True))
        )
        self.norm = nn.BatchNorm1d(_WIDTHS[0])
        self.dropout = nn.Dropout(_DROPOUT)
        self.logits = nn.Linear(2 * _WIDTHS[-1], labels)

    def forward(self, phonemes: Tensor) -> Tensor:
        """Map phonemes [shape=(n, 49, 40)] to logits [shape=(n, labels)]."""
        x = self.norm(phonemes.transpose(1, 2))
        for number, layer in enumerate(self.layers):
            x = nn.functional.gelu(layer(self.dropout(x) if number else x))
        both = torch.cat([x.amax(dim=2), x.mean(dim=2)], dim=1)
        return cast(Tensor, self.logits(self.dropout(both)))


class PhraseHeads(nn.Module):
    """The average of several heads, from MFCCs to logits."""

    offset: Tensor

    def __init__(self, phonemes: PhonemeNetwork, heads: Sequence[PhraseHead]) -> None:
        """Put the network of phonemes before heads that were trained behind it."""
        super().__init__()
        self.phonemes = phonemes
        self.register_buffer("offset", torch.zeros(heads[0].logits.out_features))
        self.heads = nn.ModuleList(heads)

    def forward(self, mfcc: Tensor) -> Tensor:
        """Map MFCCs [shape=(n, 98, 40)] to logits [shape=(n, labels)]."""
        phonemes = self.phonemes(mfcc)
        logits = self.heads[0](phonemes)
        for head in list(self.heads)[1:]:
            logits = logits + head(phonemes)
        return cast(Tensor, logits * (_SHARPNESS / len(self.heads)) + self.offset)


@dataclass(frozen=True)
class Examples:
    """Windows to learn from."""

    phonemes: Array
    """What :class:`PhonemeNetwork` hears in the windows [shape=(n, 49, 40)]."""

    labels: npt.NDArray[np.int64]
    """The number of the phrase in each, or that of everything else [shape=(n,)]."""

    groups: npt.NDArray[np.int64]
    """Windows of one speaker, or drawn together, have one number [shape=(n,)]."""

    real: npt.NDArray[np.bool_]
    """Whether a window is from running speech of real people [shape=(n,)]."""


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Return several sets of examples as one."""
    return Examples(
        np.concatenate([part.phonemes for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.groups for part in parts]),
        np.concatenate([part.real for part in parts]),
    )


def fit_heads(  # noqa: PLR0917 - of train_phrases alone
    examples: Examples,
    network: PhonemeNetwork,
    labels: int,
    seed: int,
    steps: int,
    shown: Callable[[int], None] = lambda _: None,
) -> PhraseHeads:
    """Train a head for each third of the examples that is left out, and calibrate their average.

    Args:
        examples: of all labels.
        network: which heard them.
        labels: their number; the last one stands for everything else.
        seed: of the weights and batches.
        steps: of each head.
        shown: called after each step with 1.
    """
    phonemes = torch.from_numpy(examples.phonemes)
    heads, margins = [], []
    for fold in range(FOLDS):
        held_out = examples.groups % FOLDS == fold
        torch.manual_seed(seed * FOLDS + fold)
        head = PhraseHead(labels)
        rng = np.random.default_rng([seed, 22, fold])
        _train(head, phonemes, examples, ~held_out, rng, steps, shown)
        heads.append(head.eval())
        with torch.inference_mode():
            logits = head(phonemes[torch.from_numpy(held_out & examples.real)])
        margins.append(_margins(logits))
    together = PhraseHeads(network, heads)
    if any(len(each) for each in margins):
        limits = _limits(torch.cat(margins).numpy())
        together.offset[:-1] = torch.from_numpy(-_SHARPNESS * limits)
    return together


def _train(  # noqa: PLR0917 - of fit_heads alone
    head: PhraseHead,
    phonemes: Tensor,
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
            head(phonemes[chosen]), labels[chosen], label_smoothing=0.1
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
