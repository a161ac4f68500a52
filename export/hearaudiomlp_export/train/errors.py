"""Errors of training."""

from hearaudiomlp import HearAudioMLPError


class SynthesizerMissingError(HearAudioMLPError, FileNotFoundError):
    """A speech synthesizer that the recipe needs isn't installed."""

    def __init__(self, name: str, package: str, installer: str = "apt-get") -> None:
        super().__init__(f"{name} is missing: {installer} install {package}")


class CorpusError(HearAudioMLPError, ValueError):
    """The corpus on disk can't be used."""


class TrainingStateError(HearAudioMLPError, ValueError):
    """A saved training state belongs to other settings, or is damaged."""


class RecordingsError(HearAudioMLPError, ValueError):
    """A folder of recordings can't be trained on."""


class PhraseError(HearAudioMLPError, ValueError):
    """A word or phrase that no model can be trained for."""


class VerificationError(HearAudioMLPError, ArithmeticError):
    """A graph doesn't compute what the trained network does."""
