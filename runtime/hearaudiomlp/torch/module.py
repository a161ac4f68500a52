"""An encoder as a torch module without parameters."""

import os
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from hearaudiomlp import hear
from hearaudiomlp.model import Model
from hearaudiomlp.session import Provider


class TorchModel(nn.Module):
    """A :class:`hearaudiomlp.Model` behind the face of a module.

    It has no parameters, and no gradient flows through it. Results are on the device of the audio;
    what computes them is chosen when the model is loaded, and ``to()`` doesn't change that.
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

    def forward(self, audio: Tensor) -> Tensor:
        """Return the scene embeddings [shape=(n_sounds, scene_embedding_size)] of ``audio``."""
        return self.model.scene_embeddings(audio)


def loader(name: str) -> Callable[..., TorchModel]:
    """Return the ``load_model`` that takes model files of the encoder called ``name`` only."""
    load = hear.loader(name)

    def load_model(
        model_file_path: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
    ) -> TorchModel:
        return TorchModel(
            load(model_file_path, device=device, providers=providers, threads=threads)
        )

    load_model.__doc__ = load.__doc__
    return load_model


def get_timestamp_embeddings(audio: Tensor, model: TorchModel) -> tuple[Tensor, Tensor]:
    """Return an embedding for every 10 ms, and the timestamps in milliseconds.

    See :func:`hearaudiomlp.kwmlp.get_timestamp_embeddings`.
    """
    return model.model.timestamp_embeddings(audio)


def get_scene_embeddings(audio: Tensor, model: TorchModel) -> Tensor:
    """Return one embedding for each whole sound.

    See :func:`hearaudiomlp.kwmlp.get_scene_embeddings`.
    """
    return model.model.scene_embeddings(audio)
