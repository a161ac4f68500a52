"""The published system in PyTorch: encoders, front end, checkpoints."""
