"""``hearaudiomlp info``."""

from hearaudiomlp.cli import main
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"


def test_info_shows_what_the_graph_has(checkpoints, capsys) -> None:
    assert main(["info", str(checkpoints["kwmlp"])]) == 0
    printed = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert printed["parameters"] == "424,811"
    assert "windows [n, 16000]" in printed["input"]
    embeddings = "frame_embeddings [n, 98, 64]; keyword_logits [n, 35]"
    assert printed["output"] == f"{embeddings}; power_mel [n, 98, 40]; mfcc [n, 98, 40]"
    assert "Gemm 50" in printed["operators"]
    # 98 frames times 40x64, then per block 98 (64x256 + 128x64 + 98x128); the head's 98 times 64x35
    encoder = 98 * 40 * 64 + 12 * 98 * (64 * 256 + 128 * 64 + 98 * 128) + 98 * 64 * 35
    assert f"encoder {encoder:,}" in " ".join(printed.values())


def test_info_of_a_file_that_is_no_model(capsys) -> None:
    assert main(["info", str(SAMPLE)]) == 1
    assert "not an ONNX file" in capsys.readouterr().err
