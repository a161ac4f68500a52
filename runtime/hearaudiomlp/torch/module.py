"""An encoder as a torch module without parameters."""

from typing import TypeVar

from torch import Tensor, nn

from hearaudiomlp.model import Model

Audio = TypeVar("Audio")


class TorchModel(nn.Module):
    """A :class:`hearaudiomlp.Model` as a module.

    It has no parameters, and no gradient flows through it. Results are on the device of the audio;
    what computes them is chosen when the model is loaded, and ``to()`` doesn't change that.

    Examples:
        >>> import torch
        >>> import hearaudiomlp
        >>> module = TorchModel(hearaudiomlp.load_model())
        >>> module(torch.zeros(2, 16000)).shape
        torch.Size([2, 1024])
    """

    def __init__(self, model: Model) -> None:
        """Wrap ``model``."""
        super().__init__()
        self.model = model
        self.sample_rate = model.sample_rate
        self.timestamp_embedding_size = model.timestamp_embedding_size
        self.scene_embedding_size = model.scene_embedding_size

    def extra_repr(self) -> str:
        """Show what is wrapped."""
        return repr(self.model)

    def timestamp_embeddings(self, audio: Audio) -> tuple[Audio, Audio]:
        """See :meth:`hearaudiomlp.Model.timestamp_embeddings`."""
        return self.model.timestamp_embeddings(audio)

    def scene_embeddings(self, audio: Audio) -> Audio:
        """See :meth:`hearaudiomlp.Model.scene_embeddings`."""
        return self.model.scene_embeddings(audio)

    def forward(self, audio: Tensor) -> Tensor:
        """Return the scene embeddings [shape=(n_sounds, scene_embedding_size)] of ``audio``."""
        return self.model.scene_embeddings(audio)
