"""The torch side of hearaudiomlp: networks, tracing to ONNX, and the proof of each export."""
