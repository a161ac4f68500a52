"""Windows, frames and scene embeddings: numpy only, nothing of ONNX or of files."""
