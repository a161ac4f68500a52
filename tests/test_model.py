"""What a loaded model computes beside embeddings."""

import librosa
import numpy as np
import pytest

from hearaudiomlp.errors import OptionError


def test_encode_returns_the_outputs_that_are_requested(model, noise) -> None:
    windows = noise(3, 16_000)
    names = ["power_mel", "mfcc"] if model.name == "kwmlp" else ["power_mel"]
    found = model.encode(windows, names)
    assert list(found) == names
    wanted = librosa.feature.melspectrogram(
        y=windows, sr=16_000, n_fft=480, hop_length=160, center=False, n_mels=40
    ).transpose(0, 2, 1)
    np.testing.assert_allclose(found["power_mel"], wanted, rtol=1e-3, atol=1e-6)
    if "mfcc" in found:
        for mfcc, mel in zip(found["mfcc"], wanted, strict=True):
            decibels = librosa.power_to_db(mel.T, amin=1e-10, top_db=80.0)
            expected = librosa.feature.mfcc(S=decibels, n_mfcc=40, norm="ortho")
            np.testing.assert_allclose(mfcc, expected.T, atol=0.01)
    with pytest.raises(OptionError, match="has the outputs frame_embeddings"):
        model.encode(windows, ["spectrogram"])
