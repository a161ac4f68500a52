"""The torch side of hearaudiomlp: networks, tracing to ONNX, and verification of each export."""
