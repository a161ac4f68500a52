"""The metadata of a model file, and whether it is that of the graph beside it (docs/format.md)."""

import json
from collections.abc import Mapping

from hearaudiomlp._text import printable, shorten
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.spec import ENCODERS, FRAMES, HOP, MEL_BANDS, SAMPLE_RATE, WINDOW
from hearaudiomlp.weights.onnx_file import OnnxSummary

FORMAT = "1"
"""Version of the metadata in model files."""

INTERFACES = ("windows", "pipeline")
"""What a model file takes: bare windows, or whole sounds (docs/format.md). Windows, if unsaid."""

PRECISIONS = ("float32", "float16")
"""What the weights of a model file may be stored as; float32, if unsaid."""

ARITHMETICS = ("float32", "float16")
"""What a model file's blocks may compute in; float32 by default. Float16 is for GPUs."""

LABELS_KINDS = ("speech_commands", "own")
"""Which words ``keyword_labels`` are: the encoder's 35, or a user's; the encoder's, if unsaid."""

_MAX_LABELS_TEXT = 100_000  # characters of all labels; the 35 words have 315

_MAX_LABEL = 100  # characters of one

_MAX_TEXT = 1_000  # characters of a metadata value that is shown

_REQUIRED = (
    "model",
    "sample_rate",
    "timestamp_embedding_size",
    "scene_embedding_size",
    "scene_steps",
    "keyword_labels",
    "parameters",
    "macs_per_window",
    "encoder_macs_per_window",
    "hop",
    "checkpoint_sha256",
    "licence",
    "source",
    "hearaudiomlp_version",
)

OLD_INTERFACES = {"hear": "pipeline"}
"""Former names of interfaces, as model files and command lines may have them."""


def check_metadata(summary: OnnxSummary) -> None:
    """Check that the metadata of an exported file is whole, and that of its graph.

    Raises:
        ModelFileError: it isn't, or the file is of a newer format.

    Examples:
        >>> from hearaudiomlp.weights.onnx_file import summarize
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     check_metadata(summarize(file.read()))
    """
    card = summary.metadata
    if card.get("hearaudiomlp_format", FORMAT) != FORMAT:
        raise ModelFileError(
            f"its format is {shorten(card['hearaudiomlp_format'])}, and this version of "
            f"hearaudiomlp reads format {FORMAT}: install a newer hearaudiomlp, or export the "
            "model again"
        )
    if summary.external:
        raise ModelFileError(
            "a graph without weights, as hearaudiomlp-export --graph-only writes: "
            "load the checkpoint itself, or export it to a whole model"
        )
    if "hearaudiomlp_format" not in card or any(key not in card for key in _REQUIRED):
        raise ModelFileError(
            "an ONNX file that hearaudiomlp-export didn't write (or one that was cut off): "
            "its metadata doesn't describe an encoder"
        )
    if interface_of(card) == "pipeline" and card.get("labels_kind") == LABELS_KINDS[1]:
        raise ModelFileError(
            "a whole pipeline with labels of a user's own, which is for other programs: load the "
            "file of windows that it was made from"
        )
    try:
        _check_facts(card, summary)
    except (ValueError, KeyError, TypeError) as problem:
        reason = shorten(problem, 300)
        raise ModelFileError(f"its metadata is damaged, or not of its graph ({reason})") from None


def _integer(text: str) -> int:
    # int() takes digits of all scripts, underscores, and as many as there are.
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(f"{shorten(text, 40)} is no number")
    return int(text)


def read_labels(card: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keywords that a model file distinguishes, in the order of its logits.

    Args:
        card: its metadata.

    Raises:
        ValueError: they aren't those of its encoder, and ``labels_kind`` doesn't say that they are
            others; or they are no list of different printable words.

    Examples:
        >>> read_labels({"model": "kwmlp", "labels_kind": "own", "keyword_labels": '["yes", "no"]'})
        ('yes', 'no')
    """
    text = card["keyword_labels"]
    if len(text) > _MAX_LABELS_TEXT:
        raise ValueError(f"labels of {len(text):,} characters")
    try:
        labels = json.loads(text)
    except RecursionError:
        raise ValueError("labels are no list of words") from None
    if not isinstance(labels, list) or not all(isinstance(word, str) for word in labels):
        raise ValueError("labels are no list of words")
    own = card.get("labels_kind", LABELS_KINDS[0]) == LABELS_KINDS[1]
    if not own and tuple(labels) != ENCODERS[card["model"]].labels:
        raise ValueError("labels other than the encoder's, and labels_kind isn't own")
    if len(set(labels)) != len(labels):
        raise ValueError("a label twice")
    for word in labels:
        if not 0 < len(word) <= _MAX_LABEL or printable(word) != word:
            raise ValueError(f"the label {shorten(word, 40)}")
    if card.get("other_label") not in (*labels, None):
        raise ValueError(f"other_label: {shorten(card['other_label'], 40)}, none of its labels")
    return tuple(labels)


def read_threshold(card: Mapping[str, str]) -> float | None:
    """Return the probability from which a model file's words count as spoken, if it has one.

    Args:
        card: its metadata.

    Raises:
        ValueError: it isn't over 0 and at most 1.

    Examples:
        >>> read_threshold({"keyword_threshold": "0.45"})
        0.45
        >>> read_threshold({}) is None
        True
    """
    text = card.get("keyword_threshold")
    if text is None:
        return None
    value = float(text) if len(text) < 20 else 0.0
    if not 0.0 < value <= 1.0:
        raise ValueError(f"keyword_threshold: {shorten(text, 40)}, not over 0 and at most 1")
    return value


def _check_facts(card: Mapping[str, str], summary: OnnxSummary) -> None:
    """Raise a ValueError where the metadata states something else than the graph."""
    spec = ENCODERS[card["model"]]
    labels = read_labels(card)
    read_threshold(card)
    size = _integer(card["timestamp_embedding_size"])
    outputs: dict[str, tuple[int | str, ...]] = {"frame_embeddings": ("n", FRAMES, size)}
    if labels:
        outputs["keyword_logits"] = ("n", len(labels))
    # Files that were exported before the features became outputs have the embeddings alone.
    outputs |= {name: ("n", FRAMES, MEL_BANDS) for name in spec.features if name in summary.outputs}
    signature: dict[str, tuple[object, object]] = {
        "input": (summary.inputs, {"windows": ("n", WINDOW)}),
        "outputs": (summary.outputs, outputs),
    }
    if interface_of(card) == "pipeline":  # its outputs aren't used
        signature = {
            "input": (summary.inputs, {"audio": ("n_sounds", "n_samples")}),
            "labels of a pipeline": (labels, spec.labels),
        }
    facts: dict[str, tuple[object, object]] = {
        "sample rate": (_integer(card["sample_rate"]), SAMPLE_RATE),
        "hop": (_integer(card["hop"]), HOP),
        "embedding size": (size, spec.timestamp_embedding_size),
        "scene steps": (_integer(card["scene_steps"]), spec.scene_steps),
        "scene size": (_integer(card["scene_embedding_size"]), spec.scene_embedding_size),
    } | signature
    for name, (found, expected) in facts.items():
        if found != expected:
            raise ValueError(f"{name}: {found}, not {expected}")
    for key, known in (
        ("interface", (*INTERFACES, *OLD_INTERFACES)),
        ("precision", PRECISIONS),
        ("arithmetic", ARITHMETICS),
        ("labels_kind", LABELS_KINDS),
    ):
        if card.get(key, known[0]) not in known:
            raise ValueError(f"{key}: {shorten(card[key])}, not {' or '.join(known)}")
    for number in ("parameters", "macs_per_window", "encoder_macs_per_window"):
        _integer(card[number])
    for key in ("checkpoint_sha256", "licence", "source", "hearaudiomlp_version"):
        if len(card[key]) > _MAX_TEXT:
            raise ValueError(f"{key} of {len(card[key]):,} characters")


def interface_of(card: Mapping[str, str]) -> str:
    """Return the interface of an exported file by its present name.

    Args:
        card: the file's metadata.

    Examples:
        >>> interface_of({"interface": "hear"})
        'pipeline'
        >>> interface_of({})
        'windows'
    """
    named = card.get("interface", INTERFACES[0])
    return OLD_INTERFACES.get(named, named)
