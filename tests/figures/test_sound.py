"""The features in a picture of a sound, against librosa."""

import io
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hearaudiomlp
from hearaudiomlp.figures.sound import analyze, draw
from hearaudiomlp.keywords import Hit


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


@pytest.mark.parametrize("word", ["$\\frac$", "$x_{$", "$x$", "a$$b", "x" * 100, "_hidden"])
def test_labels_of_a_model_in_a_picture(word: str, checkpoints: Any, noise: Any) -> None:
    """They are drawn as they are, or cut; none is a formula, and the picture is there."""
    pytest.importorskip("matplotlib")
    model = hearaudiomlp.load_model(checkpoints["kwmlp"], device="cpu")
    analysis = analyze(noise(16_000), model)
    named = replace(analysis, words=(word,) * len(analysis.words), hits=(Hit(word, 0.0, 1.0, 1.0),))
    figure = draw(named, model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png")
    labels = figure.axes[4].get_yticklabels()
    assert labels[0].get_text() == (word if len(word) < 30 else f"{'x' * 30}... (100 characters)")
