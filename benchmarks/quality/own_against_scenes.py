"""`hearaudiomlp fit` as a classifier of recordings, beside classifiers of their scene embeddings.

    python benchmarks/quality/own_against_scenes.py ../shared/speech

Both see the same recordings of the training split. The second kind is what heareval's prediction
stage trains: one hidden layer, or none, on one embedding of each recording.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from own_words import RATE, read_clips
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hearaudiomlp
from hearaudiomlp.keywords.hits import HOP_S
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples

TRAINING, TEST = 25, 30


def main() -> None:
    """Print the share of recordings that each classifier names rightly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("--words", default="amelia,athena,dracarys,hadouken,joke,trick_or_treat")
    options = parser.parse_args()
    words = sorted(options.words.split(","))
    rng = np.random.default_rng(0)
    known, new = [], []
    for word in words:
        clips = [one for one in read_clips(options.speech, [word], 10_000) if not one["silent"]]
        order = rng.permutation(len(clips))
        known += [clips[index] for index in order[:TRAINING]]
        new += [clips[index] for index in order[TRAINING : TRAINING + TEST]]
    right = [clip["word"] for clip in new]
    logistic = LogisticRegression(max_iter=500)
    strengths = {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1]}
    hidden = MLPClassifier((1024,), early_stopping=True, max_iter=100, random_state=0)
    heads = {
        "logistic regression": GridSearchCV(
            make_pipeline(StandardScaler(), logistic), strengths, cv=5
        ),
        "one hidden layer": make_pipeline(StandardScaler(), hidden),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "recordings")
        for number, clip in enumerate(known):
            path = folder / clip["word"] / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, clip["samples"], RATE)
        for encoder in ("kwmlp", "audiomae"):
            model = hearaudiomlp.load_model(name=encoder, threads=1)
            scenes = [
                np.concatenate([model.scene_embeddings(clip["samples"][None]) for clip in clips])
                for clips in (known, new)
            ]
            for title, head in heads.items():
                head.fit(scenes[0], [clip["word"] for clip in known])
                print(f"{encoder}, {title}: {head.score(scenes[1], right):.1%}", flush=True)
            fitted = hearaudiomlp.fit(folder, Path(name, f"{encoder}.onnx"), name=encoder)
            own = hearaudiomlp.load_model(fitted.path, threads=1)
            found = []
            for clip in new:
                sliding = SlidingWindows(hop_samples(HOP_S))
                windows = np.concatenate([*sliding.push(clip["samples"]), *sliding.flush()])
                logits = own.encode(windows, ("keyword_logits",))["keyword_logits"]
                found.append(own.labels[logits[:, :-1].max(axis=0).argmax()])
            print(f"{encoder}, fit: {np.mean(np.array(found) == right):.1%}", flush=True)


if __name__ == "__main__":
    main()
