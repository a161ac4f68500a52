"""heareval's own stages, unmodified, in an environment that has it; run by test_heareval.py.

    python heareval_stages.py embed MODULE CHECKPOINT TASK OUT
    python heareval_stages.py predict OUT...

heareval's embedding stage imports tensorflow to find out whether a model is one of tensorflow's; an
empty stand-in answers that for a torch module.
"""

import json
import sys
import types
from pathlib import Path


def embed(module: str, checkpoint: str, task: str, out: str) -> None:
    stand_in = types.ModuleType("tensorflow")
    stand_in.Module = type("Module", (), {})
    sys.modules["tensorflow"] = stand_in
    from heareval.embeddings.task_embeddings import Embedding, task_embeddings

    task_embeddings(Embedding(module, checkpoint), Path(task), Path(out))


def predict(*folders: str) -> None:
    from click.testing import CliRunner
    from heareval.predictions.runner import runner

    arguments = [*folders, "--grid-points", "1", "--grid", "faster"]
    done = CliRunner().invoke(runner, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for folder in folders:
        scores = json.loads((Path(folder) / "test.predicted-scores.json").read_text())
        print("SCORE", folder, scores["test"]["test_score"])


if __name__ == "__main__":
    {"embed": embed, "predict": predict}[sys.argv[1]](*sys.argv[2:])
