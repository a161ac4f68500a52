"""A picture of what a model hears in a sound (extra ``[plot]``: matplotlib).

Four views on one time axis: the waveform, the features that the encoder takes, the timestamp
embeddings, and (kwmlp) the probabilities of the keywords. The color map is cividis, whose lightness
rises evenly, so that it can be read in gray print and by color-blind readers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hearaudiomlp._text import shorten
from hearaudiomlp._types import Floats
from hearaudiomlp.errors import AudioValueError
from hearaudiomlp.figures.style import default_style
from hearaudiomlp.keywords.hits import Hit, find_hits
from hearaudiomlp.model import Model
from hearaudiomlp.signal import windows
from hearaudiomlp.signal.arrays import validate_samples
from hearaudiomlp.spec import ENCODERS, HOP, SAMPLE_RATE
from hearaudiomlp.spotter import KeywordWindows, keyword_threshold

_TOP_DB, _LEAST = 80.0, 1e-10  # range of the mel bands' colours, and the least power in them
_COLUMNS = 3000  # that a heat map has, at most; a picture has no more
_WORDS = 8  # keywords that are drawn, at most
_SHOWN = 30  # characters of a keyword
_KEYWORD_HOP_S = 0.1
_MAP = "cividis"


@dataclass(frozen=True)
class Analysis:
    """What a model makes of a sound; all of it on the frames' time axis, 10 ms each.

    Examples:
        >>> sound = hearaudiomlp.read_audio("samples/words.flac").samples
        >>> analysis = analyze(sound, hearaudiomlp.load_model(name="audiomae"))
        >>> analysis.words, analysis.mfcc is None  # audiomae has no keyword head
        ((), True)
    """

    samples: Floats
    """[shape=(n_samples,)]"""

    mel: Floats
    """Power in the mel bands [shape=(40, n)], which audiomae takes as it is."""

    mfcc: Floats | None
    """The cepstral coefficients that kwmlp takes [shape=(40, n)], in dB."""

    embeddings: Floats
    """Timestamp embeddings [shape=(size, n)]."""

    words: tuple[str, ...]
    """The keywords with the highest probabilities, in the order in which they are spoken."""

    probabilities: Floats
    """Of these words, in windows of a second around every 100 ms [shape=(n_words, m)]."""

    hits: tuple[Hit, ...]
    """Words that were spoken."""


def _encode(samples: Floats, model: Model) -> dict[str, Floats]:
    """Return the encoder's features and embeddings on the frames' time axis [shape=(size, n)]."""
    names = ["frame_embeddings", *ENCODERS[model.name].features]
    audio, total = samples[None], windows.count_windows(len(samples))
    blocks = [
        model.encode(windows.cut_windows(audio, start, min(start + model.block, total)), names)
        for start in range(0, total, model.block)
    ]
    n = windows.count_timestamps(len(samples))
    found = {name: np.concatenate([block[name] for block in blocks]) for name in names}
    return {name: windows.stitch(rows, 1)[0, :n].T for name, rows in found.items()}


def analyze(samples: Any, model: Model) -> Analysis:
    """Compute all that :func:`draw` shows.

    Args:
        samples: mono in [-1, 1] at 16 kHz [shape=(n_samples,)], at least 160.
        model: of either encoder.

    Raises:
        AudioTypeError: samples aren't an array of floating-point numbers.
        AudioValueError: they have another shape, NaN or infinity in them, or are too few.
        OptionError: the model file was exported before features were among its outputs.

    Examples:
        >>> import hearaudiomlp
        >>> recording = hearaudiomlp.read_audio("samples/words.flac")
        >>> analysis = analyze(recording.samples, hearaudiomlp.load_model())
        >>> analysis.mel.shape, analysis.mfcc.shape, analysis.embeddings.shape
        ((40, 638), (40, 638), (64, 638))
        >>> [hit.word for hit in analysis.hits]
        ['marvin', 'seven', 'happy', 'stop']
    """
    checked, _ = validate_samples(samples)
    if len(checked) < HOP:
        raise AudioValueError(f"{len(checked)} samples are too few for a picture: at least {HOP}")
    encoded = _encode(checked, model)
    words: tuple[str, ...] = ()
    probabilities = np.zeros((0, 0), np.float32)
    hits: tuple[Hit, ...] = ()
    if model.labels:
        words, probabilities, hits = _keywords(checked, model)
    return Analysis(
        checked,
        encoded["power_mel"],
        encoded.get("mfcc"),
        encoded["frame_embeddings"],
        words,
        probabilities,
        hits,
    )


def _keywords(samples: Floats, model: Model) -> tuple[tuple[str, ...], Floats, tuple[Hit, ...]]:
    keyword_windows = KeywordWindows(model, _KEYWORD_HOP_S)
    blocks = [*keyword_windows.push(samples), *keyword_windows.flush()]
    starts = np.concatenate([starts for starts, _ in blocks])
    rows = np.concatenate([rows for _, rows in blocks])
    threshold = keyword_threshold(model)
    hits = find_hits(starts.tolist(), rows, model.labels, threshold=threshold)
    chosen = np.argsort(-rows.max(axis=0), kind="stable")[:_WORDS]
    chosen = chosen[np.argsort(rows[:, chosen].argmax(axis=0), kind="stable")]
    words = tuple(model.labels[index] for index in chosen)
    duration = len(samples) / SAMPLE_RATE
    return words, rows[:, chosen].T, tuple(hit.within(duration) for hit in hits)


def _thinned(rows: Floats) -> Floats:
    """Average neighboring columns if there are more than a picture can show."""
    step = -(-rows.shape[1] // _COLUMNS)
    if step == 1:
        return rows
    edges = np.arange(0, rows.shape[1], step)
    sums = np.add.reduceat(rows, edges, axis=1)
    return np.asarray(sums / np.diff([*edges, rows.shape[1]]), np.float32)


@default_style()
def draw(analysis: Analysis, model: Model, title: str = "") -> Any:
    """Draw a sound as a model hears it.

    Args:
        analysis: of :func:`analyze`.
        model: the same.
        title: above the picture.

    Returns:
        A ``matplotlib.figure.Figure``; its ``savefig`` writes PNG, SVG or PDF.

    Raises:
        MissingPackageError: the extra ``[plot]`` isn't installed.

    Examples:
        >>> sound = hearaudiomlp.read_audio("samples/words.flac").samples
        >>> model = hearaudiomlp.load_model()
        >>> draw(analyze(sound, model), model, "words.flac").savefig("words.png")
    """
    from matplotlib.figure import Figure

    panels = ["wave", "mel"] + ["mfcc"] * (analysis.mfcc is not None) + ["embeddings"]
    heights = [1.0, 1.5] + [1.5] * (analysis.mfcc is not None) + [2.0]
    if analysis.words:
        panels, heights = [*panels, "keywords"], [*heights, 1.6]
    figure = Figure(figsize=(9, 1.2 * sum(heights) + 1.2), layout="constrained")
    axes = dict(
        zip(panels, figure.subplots(len(panels), sharex=True, height_ratios=heights), strict=True)
    )
    duration = len(analysis.samples) / SAMPLE_RATE
    _draw_wave(axes["wave"], analysis, duration)
    mel = np.asarray(10.0 * np.log10(np.maximum(analysis.mel, _LEAST)), np.float32)
    loudest = float(mel.max())
    # A frame is centered on its timestamp, and the first has that of 10 ms.
    extent = (0.005, 0.005 + mel.shape[1] * HOP / SAMPLE_RATE)
    _draw_rows(axes["mel"], mel, extent, _Scale("mel band", "dB", loudest - _TOP_DB, loudest))
    if analysis.mfcc is not None:  # the first is the loudness, far from all others
        scale = _Scale.without_outliers("MFCC", "dB", analysis.mfcc[1:])
        _draw_rows(axes["mfcc"], analysis.mfcc, extent, scale)
    scale = _Scale.without_outliers("embedding", "value", analysis.embeddings)
    _draw_rows(axes["embeddings"], analysis.embeddings, extent, scale)
    if analysis.words:
        n = analysis.probabilities.shape[1]
        half = _KEYWORD_HOP_S / 2
        span = (0.5 - half, 0.5 + (n - 1) * _KEYWORD_HOP_S + half)  # the windows' middles
        scale = _Scale("keyword", "probability", 0.0, 1.0)
        _draw_rows(axes["keywords"], analysis.probabilities, span, scale)
        labels = [shorten(word, _SHOWN) for word in analysis.words]
        axes["keywords"].set_yticks(np.arange(len(labels)), labels, parse_math=False)
        axes["keywords"].invert_yaxis()
        axes["keywords"].set_facecolor("0.9")
    last = axes[panels[-1]]
    last.set_xlabel("seconds")
    last.set_xlim(0.0, duration)
    figure.align_ylabels()
    figure.suptitle(shorten(title or model.name), parse_math=False)  # a file's name, no formula
    return figure


@dataclass(frozen=True)
class _Scale:
    """What a heat map's rows and colours are."""

    rows: str
    unit: str
    lowest: float
    highest: float

    @classmethod
    def without_outliers(cls, rows: str, unit: str, values: Floats) -> "_Scale":
        """Leave the outermost hundredths of the values out of the colours."""
        lowest, highest = np.percentile(values, [1, 99])
        return cls(rows, unit, float(lowest), float(highest))


def _draw_wave(axes: Any, analysis: Analysis, duration: float) -> None:
    count = -(-len(analysis.samples) // _COLUMNS)
    edges = np.arange(0, len(analysis.samples), count)
    seconds = edges / SAMPLE_RATE
    low = np.minimum.reduceat(analysis.samples, edges)
    high = np.maximum.reduceat(analysis.samples, edges)
    axes.fill_between(seconds, low, high, color="0.25", linewidth=0.6)
    axes.set_ylabel("waveform")
    peak = max(float(np.abs(analysis.samples).max()), 1e-3)
    axes.set_ylim(-1.1 * peak, 1.6 * peak if analysis.hits else 1.1 * peak)
    for hit in analysis.hits:
        axes.axvspan(hit.start, hit.end, color="0.85", zorder=0)
        axes.text(
            (hit.start + hit.end) / 2, 1.35 * peak, shorten(hit.word, _SHOWN), ha="center",
            va="center",
            fontsize=max(6, min(11, round(60 / max(duration, 1)))) if duration > 8 else 11,
            parse_math=False,
        )  # fmt: skip


def _draw_rows(axes: Any, rows: Floats, extent: tuple[float, float], scale: _Scale) -> None:
    """Draw a heat map of rows that span some seconds."""
    image = axes.imshow(
        _thinned(rows),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=_MAP,
        vmin=scale.lowest,
        vmax=scale.highest,
        extent=(*extent, -0.5, len(rows) - 0.5),
    )
    axes.set_ylabel(scale.rows)
    axes.figure.colorbar(image, ax=axes, label=scale.unit, pad=0.01, aspect=12)
