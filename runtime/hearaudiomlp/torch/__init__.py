"""The encoders behind ``torch.nn.Module``, for tools that accept nothing else.

The official HEAR tools (hear-validator, heareval) are such. :mod:`hearaudiomlp.torch.kwmlp` and
:mod:`hearaudiomlp.torch.audiomlp` compute the same as the modules one level up; torch only carries
the tensors.
"""

from hearaudiomlp.errors import needs_extra

with needs_extra("torch", "torch can't be imported"):
    import torch as _torch  # noqa: F401
