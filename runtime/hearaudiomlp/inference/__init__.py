"""ONNX Runtime: sessions, providers, and the threads that share them. Nothing of audio."""
