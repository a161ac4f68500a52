"""Malformed audio is refused with an error that helps; the rest is computed."""

import warnings

import numpy as np
import pytest
import torch

from hearaudiomlp import HearAudioMLPError
from hearaudiomlp.errors import AudioTypeError, AudioValueError, OptionError

REFUSED = {
    "1-D": (np.zeros(16000, np.float32), AudioValueError, r"audio\[None, :\]"),
    "3-D": (np.zeros((1, 1, 16000), np.float32), AudioValueError, "shape"),
    "0-D": (np.zeros((), np.float32), AudioValueError, "shape"),
    "no sounds": (np.zeros((0, 16000), np.float32), AudioValueError, "no sounds"),
    "int16": (np.zeros((1, 16000), np.int16), AudioTypeError, "32768"),
    "uint8": (np.zeros((1, 16000), np.uint8), AudioTypeError, "uint8"),
    "bool": (np.zeros((1, 16000), bool), AudioTypeError, "bool"),
    "complex": (np.zeros((1, 16000), np.complex64), AudioTypeError, "complex64"),
    "object": (np.array([[None]]), AudioTypeError, "object"),
    "text": (np.array([["a"]]), AudioTypeError, "real floating-point"),
    "list": ([[0.0, 0.1]], AudioTypeError, "numpy.asarray"),
    "None": (None, AudioTypeError, "NoneType"),
    "path": ("speech.wav", AudioTypeError, "str"),
    "NaN": (np.array([[0.0, np.nan, 0.0]]), AudioValueError, "sound 0, sample 1"),
    "infinity": (np.array([[0.0], [-np.inf]]), AudioValueError, "sound 1, sample 0"),
    "beyond float32": (np.array([[1e300]]), AudioValueError, "infinite"),
    "torch int16": (torch.zeros(1, 160, dtype=torch.int16), AudioTypeError, "32768"),
    "torch complex": (torch.zeros(1, 160, dtype=torch.complex64), AudioTypeError, "complex"),
    "torch NaN": (torch.full((1, 2), torch.nan), AudioValueError, "2 values"),
    "too loud": (np.full((1, 16000), 1e30), AudioValueError, "overflows float32"),
    "masked": (np.ma.masked_array(np.zeros((1, 9)), False), AudioTypeError, r"filled\(0\)"),
    "torch sparse": (torch.zeros(1, 160).to_sparse(), AudioTypeError, "no plain values"),
    "torch meta": (torch.zeros(1, 160, device="meta"), AudioTypeError, "no plain values"),
    "torch 1-D": (torch.zeros(160), AudioValueError, "add an axis"),
}


@pytest.mark.filterwarnings("ignore:audio reaches")
@pytest.mark.parametrize("case", list(REFUSED))
def test_refused(model, case: str) -> None:
    audio, error, message = REFUSED[case]
    for compute in (model.timestamp_embeddings, model.scene_embeddings, model.embeddings):
        with pytest.raises(error, match=message) as caught:
            compute(audio)
        assert isinstance(caught.value, HearAudioMLPError)
        assert isinstance(caught.value, ValueError | TypeError)


@pytest.mark.parametrize("n_samples", [0, 1, 159, 160, 15_680, 15_681, 16_000, 33_333])
@pytest.mark.parametrize("n_sounds", [1, 3])
def test_every_length_works(model, noise, n_sounds: int, n_samples: int) -> None:
    audio = noise(n_sounds, n_samples)
    embeddings, timestamps = model.timestamp_embeddings(audio)
    scene = model.scene_embeddings(audio)
    n = n_samples // 160
    assert embeddings.shape == (n_sounds, n, model.timestamp_embedding_size)
    assert timestamps.shape == (n_sounds, n)
    assert scene.shape == (n_sounds, model.scene_embedding_size)
    for result in (embeddings, timestamps, scene):
        assert result.dtype == np.float32
        assert np.isfinite(result).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[:, ::-1][:, ::-1],
    ],
    ids=["float64", "big-endian", "column-major", "strided", "reversed twice"],
)
def test_layout_and_precision_do_not_matter(model, noise, make) -> None:
    audio = noise(2, 20_000)
    expected = model.scene_embeddings(audio)
    np.testing.assert_array_equal(model.scene_embeddings(make(audio)), expected)


def test_float16_is_computed_as_the_float32_of_the_same_values(model, noise) -> None:
    audio = noise(1, 20_000).astype(np.float16)
    found = model.scene_embeddings(audio)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, model.scene_embeddings(audio.astype(np.float32)))


def test_input_is_not_changed(model, noise) -> None:
    audio = noise(2, 20_000)
    audio.flags.writeable = False
    before = audio.copy()
    model.embeddings(audio)
    np.testing.assert_array_equal(audio, before)


def test_unscaled_pcm_is_computed_with_one_warning(model, noise) -> None:
    loud = 30_000 * noise(1, 16_000)
    with pytest.warns(UserWarning, match=r"PCM left unscaled.*32768") as caught:
        model.scene_embeddings(loud)
    assert caught[0].filename == __file__  # it points at the caller's line
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.scene_embeddings(loud)).all()


def test_a_little_over_full_scale_is_no_reason_to_warn(model, noise) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.scene_embeddings(np.clip(100 * noise(1, 16_000), -3, 3))


def test_keywords_take_one_second_at_most(kwmlp, noise) -> None:
    with pytest.raises(AudioValueError, match="cut it into windows"):
        kwmlp.keyword_logits(noise(1, 16_001))
    assert kwmlp.keyword_logits(noise(2, 0)).shape == (2, 35)


@pytest.mark.parametrize("shape", [(16000,), (1, 15999), (1, 1, 16000)])
def test_encoding_takes_windows_only(model, shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioValueError, match="windows have to be"):
        model.encode(np.zeros(shape, np.float32))
    with pytest.raises(AudioValueError, match="float64"):
        model.encode(np.zeros((1, 16000)))


def test_audiomae_has_no_keywords(checkpoints, noise) -> None:
    from hearaudiomlp.audiomlp import load_model

    with pytest.raises(OptionError, match="kwmlp"):
        load_model(checkpoints["audiomae"]).keyword_logits(noise(1, 16_000))
