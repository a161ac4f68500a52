"""A small network on the phonemes of a window that names a user's phrases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hearaudiomlp.fitting.alarms import Tail
from hearaudiomlp.keywords import HOP_S, SMOOTHING_S
from hearaudiomlp_export.networks.phonemes import PHONEMES, PhonemeNetwork

Array = npt.NDArray[np.float32]

_WIDTHS = (len(PHONEMES), 32, 64, 64)
_CONTEXTS = (5, 5, 7)
_STRIDES = (2, 1, 2)
_DROPOUT = 0.2
_FOLDS = 3
_OF_A_FOLD = 2

HEADS = _FOLDS * _OF_A_FOLD
"""Two for each third of the examples, trained without it."""

_BATCH = 256
_LEARNING_RATE = 3e-3
_SHARPNESS = 1.5
"""Of the averaged logits: smoothing over windows asks for probabilities near one."""

_HARDEST = 0.05
"""Share of the running speech that is most like a phrase, and that a head hears more often."""

_LOOK_EVERY = 50
"""Steps after which the hardest windows are looked for again."""

_BLOCK = 1024
_FAR = 50.0
"""A margin that is certain."""

_BISECTIONS = 30

_ALARMS_PER_HOUR = 0.5
"""What the limits aim at, on running speech that a head hasn't heard."""

_UNEQUAL = 4.0
"""How many times more or less than its equal share of the alarms a phrase may make."""

_LEVEL = 0.5
"""Averaged probability that running speech would reach so often."""

THRESHOLD = 0.55
"""Averaged probability from which a phrase counts as spoken, in the files' metadata.

It is above the level of the limits, because other readers than those reach it more often."""


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

    phonemes: npt.NDArray[np.floating]
    """What :class:`PhonemeNetwork` hears in the windows [shape=(n, 49, 40)], float16 or float32."""

    labels: npt.NDArray[np.int64]
    """The number of the phrase in each, or that of everything else [shape=(n,)]."""

    groups: npt.NDArray[np.int64]
    """Windows of one speaker, or drawn together, have one number [shape=(n,)]."""

    sentences: npt.NDArray[np.int64]
    """The number of the sentence by real people that a window is from, or -1 [shape=(n,)].

    The windows of a sentence follow one another, HOP_S apart."""


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Return several sets of examples as one; each set's sentences are its own."""
    sentences, first = [], 0
    for part in parts:
        sentences.append(np.where(part.sentences < 0, -1, part.sentences + first))
        first += part.sentences.max(initial=-1) + 1
    return Examples(
        np.concatenate([part.phonemes for part in parts], dtype=np.float16, casting="same_kind"),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.groups for part in parts]),
        np.concatenate(sentences),
    )


def fit_heads(  # noqa: PLR0917 - of train_phrases alone
    examples: Examples,
    network: PhonemeNetwork,
    labels: int,
    seed: int,
    steps: int,
    shown: Callable[[int], None] = lambda _: None,
) -> PhraseHeads:
    """Train heads for each third of the examples that is left out, and calibrate their average.

    Args:
        examples: of all labels.
        network: which heard them.
        labels: their number; the last one stands for everything else.
        seed: of the weights and batches.
        steps: of each head.
        shown: called after each step with 1.
    """
    phonemes = torch.from_numpy(examples.phonemes)
    heads, margins, sentences, found, said = [], [], [], [], []
    for fold in range(_FOLDS):
        held_out = examples.groups % _FOLDS == fold
        for number in range(fold, HEADS, _FOLDS):
            torch.manual_seed(seed * HEADS + number)
            heads.append(PhraseHead(labels))
            rng = np.random.default_rng([seed, 22, number])
            _train(heads[-1], phonemes, examples, ~held_out, rng, steps, shown)
        of_fold = heads[-_OF_A_FOLD:]
        running = held_out & (examples.sentences >= 0)
        margins.append(_margins(_SHARPNESS * _logits(of_fold, phonemes, running)).numpy())
        sentences.append(examples.sentences[running])
        phrases = held_out & (examples.labels < labels - 1)
        found.append(_margins(_SHARPNESS * _logits(of_fold, phonemes, phrases)).numpy())
        said.append(examples.labels[phrases])
    together = PhraseHeads(network, heads)
    if any(len(each) for each in margins):
        tails = _tails(np.concatenate(margins), np.concatenate(sentences))
        limits = _limits(tails, np.concatenate(found), np.concatenate(said))
        together.offset[:-1] = torch.from_numpy(-limits)
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
    rest, real = used & (examples.labels == other), examples.sentences >= 0
    spoken = [np.flatnonzero(used & (examples.labels == label)) for label in range(other)]
    people = np.flatnonzero(rest & real)
    phrases = [pool for pool in spoken if len(pool)]
    doubted = [pool for pool in (np.flatnonzero(rest & ~real), people, people) if len(pool)]
    counts = [max(1, _BATCH * 2 // 5 // len(phrases))] * len(phrases)
    counts += [_BATCH * 3 // 5 // len(doubted)] * len(doubted)
    optimizer = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    for step in range(steps):
        if len(people) and step >= steps // 3 and step % _LOOK_EVERY == 0:
            doubted[-1] = people[_hardest(head, phonemes, rest & real)]
        pools = zip([*phrases, *doubted], counts, strict=True)
        chosen = torch.from_numpy(np.concatenate([rng.choice(pool, n) for pool, n in pools]))
        loss = nn.functional.cross_entropy(
            head(phonemes[chosen].float()), labels[chosen], label_smoothing=0.1
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        shown(1)
    head.eval()


@torch.inference_mode()
def _logits(heads: Sequence[PhraseHead], phonemes: Tensor, chosen: npt.NDArray[np.bool_]) -> Tensor:
    """Return the averaged logits of heads for the chosen windows."""
    parts = [torch.zeros(0, heads[0].logits.out_features)]
    for block in torch.split(torch.from_numpy(np.flatnonzero(chosen)), _BLOCK):
        heard = phonemes[block].float()
        parts.append(torch.stack([head.eval()(heard) for head in heads]).mean(dim=0))
    return torch.cat(parts)


def _hardest(
    head: PhraseHead, phonemes: Tensor, chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return which of the chosen windows are most like a phrase."""
    nearness = _margins(_logits([head], phonemes, chosen)).amax(dim=1).numpy()
    head.train()
    return np.argsort(-nearness)[: max(1, round(len(nearness) * _HARDEST))]


def _margins(logits: Tensor) -> Tensor:
    """Return by how much each phrase is above all else together [shape=(n, labels - 1)]."""
    columns = range(logits.shape[1] - 1)
    others = [[c for c in range(logits.shape[1]) if c != column] for column in columns]
    rest = torch.stack([logits[:, chosen].logsumexp(dim=1) for chosen in others], dim=1)
    return logits[:, :-1] - rest


def _tails(margins: Array, sentences: npt.NDArray[np.int64]) -> list[Tail]:
    """Return how often a second of running speech reaches a margin, for each phrase.

    There are too few seconds to count one alarm in an hour, so what is highest in each second is
    extrapolated.
    """
    highest = []
    for number in np.unique(sentences):
        reached = _reached(margins[sentences == number])
        starts = np.arange(0, len(reached), round(1 / HOP_S))
        highest.append(np.maximum.reduceat(reached, starts))
    return [Tail.of(column) for column in np.concatenate(highest).T]


def _limits(tails: Sequence[Tail], margins: Array, labels: npt.NDArray[np.int64]) -> Array:
    """Return the margin that each phrase has to exceed for the aimed-at number of false alarms.

    Some phrases are found as often with fewer alarms. They leave them to those that need more, so
    that most is found on average: another alarm would then find as much more of any phrase.

    Args:
        tails: of the margins of running speech, for each phrase.
        margins: of phrases that a head hasn't heard [shape=(n, n_phrases)].
        labels: which phrases these are [shape=(n,)].
    """
    share = _ALARMS_PER_HOUR / 3600 / len(tails)
    rates = share * np.geomspace(1 / _UNEQUAL, _UNEQUAL, 65)
    limits = np.array([[tail.value(rate) for rate in rates] for tail in tails], np.float32)
    own = [margins[labels == number, number] for number in range(len(tails))]
    found = np.array(
        [
            (m > limit[:, None]).sum(axis=1) / max(1, len(m))
            for m, limit in zip(own, limits, strict=True)
        ]
    )
    low, high = 0.0, 1.0 / rates[0]
    for _ in range(_BISECTIONS):
        price = (low + high) / 2
        chosen = (found - price * rates).argmax(axis=1)
        low, high = (price, high) if rates[chosen].mean() > share else (low, price)
    chosen = (found - high * rates).argmax(axis=1)
    return np.asarray(limits[np.arange(len(tails)), chosen])


def _reached(margins: Array) -> Array:
    """Return by how much margins can be lowered until no phrase counts as spoken any more.

    Args:
        margins: of consecutive windows [shape=(n, n_phrases)].

    Probabilities are averaged over neighbours, as :class:`hearaudiomlp.keywords.HitFinder` does.
    """
    reach = round(SMOOTHING_S / HOP_S) - 1
    weights = 1 - np.abs(np.arange(-reach, reach + 1)) * HOP_S / SMOOTHING_S
    weights /= weights.sum()
    padded = np.pad(margins, ((reach, reach), (0, 0)), constant_values=-_FAR)
    near = np.stack([padded[at : at + len(margins)] for at in range(len(weights))])
    low, high = np.full((2, *margins.shape), [[[-_FAR]], [[_FAR]]])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        average = np.tensordot(weights, 1 / (1 + np.exp(middle - near)), axes=1)
        low = np.where(average > _LEVEL, middle, low)
        high = np.where(average > _LEVEL, high, middle)
    return np.asarray(low, np.float32)
