"""The figures of both recipes."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hearaudiomlp_export.train.data.augment import Mix, Real
from hearaudiomlp_export.train.data.corpus import Plan
from hearaudiomlp_export.train.data.disturb import Strength


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run, besides the machine."""

    name: str
    """``kwmlp`` or ``audiomae``."""

    steps: int
    seed: int = 0
    batch: int = 128
    learning_rate: float = 2e-3
    """At the end of the warm-up."""

    level: float = 0.0
    """Share of the steps that the learning rate stays level, before it falls to nothing along half
    a cosine."""

    weight_decay: float = 0.1
    warm_up: int = 300
    averaging: float = 0.998
    """Of the exponential moving average of the weights, which is what is saved."""

    label_smoothing: float = 0.1
    survival: tuple[float, float] = (0.9, 0.95)
    """Probability that a block is not skipped (stochastic depth, Huang et al. 2016), at the first
    and at the last step."""

    warp: float = 1.18
    """Widest vocal-tract-length factor."""

    mix: Mix = field(default_factory=Mix)
    real: Real = field(default_factory=Real)

    shares: tuple[float, float, float, float] = (0.3, 0.15, 0.35, 0.2)
    """Of eSpeak, accented eSpeak, Flite and Festival in a batch."""

    strength: Strength = field(default_factory=Strength)
    plan: Plan = field(default_factory=Plan)
    start: str = ""
    """SHA-256 of the checkpoint that it starts from, if any."""

    recordings: str = ""
    """Fingerprint of the recordings, if any."""

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, for JSON."""
        return asdict(self)


RECIPES = {
    "kwmlp": Recipe("kwmlp", steps=5000),
    "audiomae": Recipe(
        "audiomae",
        steps=1200,
        mix=Mix(negatives=0.15, sounds=0.5),
        warp=1.1,
        survival=(1.0, 1.0),
        weight_decay=0.05,
        learning_rate=1.5e-3,
        warm_up=250,
    ),
}
"""What ``hearaudiomlp-export train`` runs by default."""

RECORDED_RECIPES = {
    "kwmlp": Recipe(
        "kwmlp",
        steps=7500,
        mix=Mix(negatives=0.08, sounds=0.04, running=0.12),
        learning_rate=1.5e-3,
        level=0.64,
        survival=(0.94, 0.94),
    ),
    "audiomae": replace(RECIPES["audiomae"], mix=Mix(negatives=0.1, sounds=0.4, running=0.25)),
}
"""The same, with ``--recordings``."""

REFINING = replace(
    RECORDED_RECIPES["kwmlp"],
    steps=2000,
    learning_rate=5e-4,
    level=0.0,
    warm_up=100,
    mix=Mix(negatives=0.08, sounds=0.04, running=0.16),
    real=Real(share=0.7),
    shares=(0.5, 0.15, 0.2, 0.15),
    strength=Strength(room=0.6, noise=0.75),
)
"""A short second run from the first one's weights (``--refine``). The first run forgets some of
eSpeak's voices, above all in rooms and noise; this one hears more of them and of running speech."""
