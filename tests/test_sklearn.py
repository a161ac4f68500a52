"""The transformer of scikit-learn: its own checks, pipelines and searches."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hearaudiomlp
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError, AudioValueError, OptionError

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from hearaudiomlp.sklearn import Embedder

OTHER_LENGTHS = "sounds may be of another length than those of fit: the embeddings have one size"


def test_the_checks_of_scikit_learn() -> None:
    expected = {
        "check_n_features_in_after_fitting": OTHER_LENGTHS,
        "check_transformer_general": OTHER_LENGTHS,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is no sound is too loud for one
        results = check_estimator(
            Embedder(threads=1), expected_failed_checks=expected, on_fail=None, on_skip=None
        )
    failed = {one["check_name"] for one in results if one["status"] in ("failed", "xfail")}
    assert not [one for one in results if one["status"] == "failed"]
    assert failed == set(expected)
    assert len(results) > 30
    for one in results:
        if one["status"] == "xfail":
            assert "number of features" in str(one["exception"]).replace("\n", " ")


@pytest.fixture(scope="module")
def sounds() -> tuple[np.ndarray, np.ndarray]:
    """Forty sounds of noise or of a tone."""
    rng = np.random.default_rng(0)
    tones = np.sin(2 * np.pi * rng.uniform(400, 2000, (20, 1)) * np.arange(4000) / 16000)
    noises = rng.standard_normal((20, 4000))
    together = 0.1 * np.concatenate([tones, noises]) + 0.01 * rng.standard_normal((40, 4000))
    return together.astype(np.float32), np.repeat(["tone", "noise"], 20)


def test_arrays_and_files_and_lists(sounds, tmp_path: Path) -> None:
    samples = sounds[0]
    paths = [tmp_path / f"{number}.wav" for number in range(3)]
    for path, sound in zip(paths, samples, strict=False):
        soundfile.write(path, sound, 16000, "FLOAT")
    model = hearaudiomlp.load_model()
    for pooling, expected in (
        ("scene", model.scene_embeddings(samples[:3])),
        ("mean", model.timestamp_embeddings(samples[:3])[0].mean(axis=1)),
    ):
        embedder = Embedder(pooling=pooling)
        for given in (
            samples[:3],
            list(samples[:3]),
            paths,
            list(map(str, paths)),
            np.array(list(map(str, paths))),
        ):
            found = embedder.fit_transform(given)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-4)
    ragged = [
        samples[0],
        samples[1][:999],
        np.concatenate([samples[2], samples[3], samples[4], samples[5], samples[6]]),
    ]
    found = Embedder().fit(samples[:2]).transform(ragged)
    for sound, row in zip(ragged, found, strict=True):
        np.testing.assert_allclose(row, model.scene_embeddings(sound[None])[0], atol=1e-4)


def test_a_column_of_a_table(sounds, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sounds[0][0], 16000)
    table = np.array([[str(tmp_path / "a.wav"), 1.0], [str(tmp_path / "a.wav"), 2.0]], object)
    for columns in (0, [0]):
        both = ColumnTransformer([("sound", Embedder(), columns), ("rest", "passthrough", [1])])
        assert both.fit_transform(table).shape == (2, 1025)
        names = both.get_feature_names_out()
        assert names[[0, -1]].tolist() == ["sound__embedder0", "rest__x1"]


def test_pipeline_clone_search_and_pickle(sounds) -> None:
    given, y = sounds
    pipeline = make_pipeline(Embedder(threads=1), LogisticRegression(max_iter=2000))
    search = GridSearchCV(
        pipeline,
        {"embedder__encoder": ["kwmlp", "audiomae"], "embedder__pooling": ["scene", "mean"]},
        cv=2,
    ).fit(given, y)
    assert search.best_score_ > 0.9
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict(given), best.predict(given))
    copy = clone(best)
    assert copy.get_params()["embedder__encoder"] == search.best_params_["embedder__encoder"]
    assert not hasattr(copy[0], "model_")


def test_a_model_and_the_names_of_its_features(kwmlp: hearaudiomlp.Model, sounds) -> None:
    embedder = Embedder(kwmlp, pooling="mean").set_output(transform="default").fit(sounds[0])
    assert embedder.model_ is kwmlp
    assert embedder.get_feature_names_out().tolist() == [f"embedder{i}" for i in range(64)]
    copy = clone(embedder)
    np.testing.assert_array_equal(
        copy.fit(sounds[0]).transform(sounds[0]), embedder.transform(sounds[0])
    )


def test_what_is_none(tmp_path: Path, sounds) -> None:
    (tmp_path / "text.wav").write_text("text")
    embedder = Embedder(threads=1).fit(sounds[0])
    with pytest.raises(AudioFileNotFoundError):
        embedder.transform([tmp_path / "none.wav"])
    with pytest.raises(AudioFileError):
        embedder.transform([tmp_path / "text.wav"])
    with pytest.raises(TypeError, match="list of paths"):
        embedder.transform("text.wav")
    for none in (
        [],
        np.zeros((0, 9)),
        [[np.nan] * 99],
        sounds[0][:, :, None],
        [sounds[0][0], "a.wav"],
    ):
        with pytest.raises(ValueError, match=r"\w"):
            embedder.transform(none)
    with pytest.raises(OptionError, match="pooling"):
        Embedder(pooling="max").fit(sounds[0])
    with pytest.raises(OptionError, match="name is one of"):
        Embedder(encoder="other").fit(sounds[0])
    with pytest.raises(AudioValueError, match="less than 160 samples"):
        Embedder(pooling="mean").fit_transform(sounds[0][:, :100])
