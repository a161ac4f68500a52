"""A model file with a network of phrases, as ``train --words`` writes it, but untrained."""

import json
from pathlib import Path

import onnx
import torch

from hearaudiomlp.fitting.taps import tap_encoder
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import read_model_file
from hearaudiomlp_export.graph.metadata import describe, write_metadata
from hearaudiomlp_export.graph.phrases import phrase_graph
from hearaudiomlp_export.networks.phonemes import load_phoneme_network
from hearaudiomlp_export.train.tasks.phrases import PhraseHead, PhraseHeads

PHRASES = ("lights on", "lights off", "other")


def write_phrases(path: Path) -> Path:
    torch.manual_seed(0)
    heads = PhraseHeads(load_phoneme_network(), [PhraseHead(len(PHRASES)) for _ in range(2)])
    source = read_model_file(locate(None).read())
    graph = phrase_graph(tap_encoder(source), heads.eval())
    labels = {
        "keyword_labels": json.dumps(PHRASES),
        "labels_kind": "own",
        "other_label": PHRASES[-1],
        "keyword_threshold": "0.5",
        "interface": "windows",
        "precision": "float32",
    }
    facts = {key: source.metadata[key] for key in ("checkpoint_sha256", "licence", "source")}
    write_metadata(graph, describe(graph) | labels | facts)
    onnx.save(graph, path)
    return path
