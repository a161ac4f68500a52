"""The features in a picture of a sound, against librosa."""

from typing import Any

import numpy as np
import pytest

import hearaudiomlp
from hearaudiomlp.figures.sound import analyze


def test_features_drawn_are_those_of_librosa(checkpoints: Any, noise: Any) -> None:
    librosa = pytest.importorskip("librosa")
    model = hearaudiomlp.load_model(checkpoints["kwmlp"], device="cpu")
    sound = noise(15_000)
    analysis = analyze(sound, model)
    window = np.pad(sound, (80, 920))
    mel = librosa.feature.melspectrogram(
        y=window, sr=16_000, n_fft=480, hop_length=160, n_mels=40, center=False
    )
    decibels = librosa.power_to_db(mel)
    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=40)
    # The first frame is repeated and dropped again, so that both axes are the same.
    np.testing.assert_allclose(librosa.power_to_db(analysis.mel), decibels[:, :93], atol=0.01)
    assert analysis.mfcc is not None
    np.testing.assert_allclose(analysis.mfcc, mfcc[:, :93], atol=0.05)
