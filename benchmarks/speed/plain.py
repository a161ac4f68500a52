"""What a plain script does with a folder of sounds in PyTorch, file by file.

    python benchmarks/speed/plain.py CHECKPOINT FOLDER OUT [--threads N]

``folder.py`` times it. All embeddings go to one ``.npz``.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from baseline import PublishedSystem, torch_pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("checkpoint", type=Path)
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--threads", type=int, default=1)
options = parser.parse_args()

pipeline = torch_pipeline(PublishedSystem(options.checkpoint), options.threads)
frames, scenes = [], []
for path in sorted(options.folder.iterdir()):
    audio, _ = soundfile.read(path, dtype="float32")
    timestamp_embeddings, scene_embeddings = pipeline(audio[None])
    frames.append(timestamp_embeddings[0])
    scenes.append(scene_embeddings)
np.savez(options.out, scene_embeddings=np.concatenate(scenes), frames=np.concatenate(frames))
