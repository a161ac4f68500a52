"""The fuzz targets on their kept corpus and on seeded mutations of it; long, behind a marker."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import targets

_HERE = Path(__file__).parent
_MUTATIONS = 300
_ODD = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f", b"\x80", b"\x1b[", b"\n", b"\xff" * 9)


def corpus(name: str) -> list[bytes]:
    """Return seeds and kept inputs."""
    kept = sorted((_HERE / "corpus" / name).glob("*"))
    return [*targets.seeds()[name], *(path.read_bytes() for path in kept)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change a few bytes: flipped, cut out, doubled or replaced by what parsers trip over."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 1:
                del changed[at : at + rng.randint(1, 8)]
            case 2:
                changed[at:at] = changed[at : at + rng.randint(1, 16)]
            case 3:
                odd = rng.choice(_ODD)
                changed[at : at + len(odd)] = odd
            case _:
                del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_corpus_and_mutations_of_it(name: str) -> None:
    rng = random.Random(name)
    inputs = corpus(name)
    for data in inputs:
        targets.TARGETS[name](data)
    for _ in range(_MUTATIONS):
        targets.TARGETS[name](mutated(rng.choice(inputs), rng))


@pytest.mark.fuzz
@pytest.mark.parametrize("name", targets.TARGETS)
def test_for_long(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    seconds = int(os.environ.get("HEARAUDIOMLP_FUZZ_S", "60"))
    done = subprocess.run(
        [
            sys.executable, _HERE / "run.py", name, tmp_path, f"-max_total_time={seconds}",
            "-max_len=6000", "-timeout=20", "-rss_limit_mb=1500", "-print_final_stats=1",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True, text=True, check=False, timeout=seconds + 300,
        env=os.environ | {"FUZZ_SCRATCH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(re.findall(r"number_of_executed_units: (\d+)", done.stderr)[0]) > 0
