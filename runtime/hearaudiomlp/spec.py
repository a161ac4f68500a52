"""What is fixed about the two encoders: sizes, framing and the order of the keywords.

Sources: M. M. Morshed et al., "Attention-Free Keyword Spotting" (arXiv 2110.07749) and "Learning
Audio Representations with MLPs" (arXiv 2203.08490), and the system published with them.
"""

from typing import NamedTuple

SAMPLE_RATE = 16_000
"""Samples per second of all audio."""

WINDOW = 16_000
"""Samples in the windows that the encoders take: one second."""

HOP = 160
"""Samples from one frame to the next: 10 ms."""

FRAMES = (WINDOW - 480) // HOP + 1
"""Frames in one window: those of 480 samples that are wholly inside it, 98."""

MEL_BANDS = 40
"""Mel bands of a frame, and MFCCs."""

PAD_LEFT = 80
"""Zeros put before a sound, so that its first frame is centred near 10 ms."""

PAD_RIGHT = 240
"""Zeros put behind a sound before it is padded to whole windows."""

KEYWORDS = (
    "backward bed bird cat dog down eight five follow forward four go happy house learn left "
    "marvin nine no off on one right seven sheila six stop three tree two up visual wow yes zero"
)
"""The 35 words of Google's Speech Commands V2, in the order of the keyword logits."""


class EncoderSpec(NamedTuple):
    """The sizes of one encoder.

    Examples:
        >>> ENCODERS["audiomae"].scene_embedding_size
        1584
        >>> ENCODERS["kwmlp"].labels[:3]
        ('backward', 'bed', 'bird')
        >>> ENCODERS["kwmlp"].outputs
        ('frame_embeddings', 'keyword_logits', 'power_mel', 'mfcc')
    """

    name: str
    """``kwmlp`` or ``audiomae``."""

    depth: int
    """Number of gated-MLP blocks."""

    timestamp_embedding_size: int
    """Values in the embedding of one frame."""

    scene_steps: int
    """Frames that the scene embedding keeps."""

    labels: tuple[str, ...] = ()
    """Keywords, in the order of the logits; empty where there is no keyword head."""

    features: tuple[str, ...] = ("power_mel",)
    """Outputs of the graph with what the front end computes; the encoder takes the last one."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all outputs of the graph, in their order."""
        return "frame_embeddings", *(["keyword_logits"] if self.labels else []), *self.features

    @property
    def scene_embedding_size(self) -> int:
        """Values in the embedding of a whole sound."""
        return self.timestamp_embedding_size * self.scene_steps


ENCODERS = {
    spec.name: spec
    for spec in (
        EncoderSpec("kwmlp", 12, 64, 16, tuple(KEYWORDS.split()), ("power_mel", "mfcc")),
        EncoderSpec("audiomae", 6, 8, 198),
    )
}
"""The encoders by name."""
