"""Faster CPU kernels for hearaudiomlp: a library that the runtime finds here and loads itself."""
