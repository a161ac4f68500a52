"""Training both encoders from nothing, on sounds that this package makes itself.

Data flows one way: synthesizers -> :mod:`.corpus` on disk -> :mod:`.augment` per batch ->
:mod:`.loop` with the task of :mod:`.kwmlp` or :mod:`.audiomae` -> a checkpoint.
"""
