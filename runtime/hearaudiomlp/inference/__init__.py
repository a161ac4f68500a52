"""ONNX Runtime: sessions, providers, and the threads that share them. It knows nothing of audio."""
