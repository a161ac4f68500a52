"""Files, pipes and microphones in; mono float32 at 16 kHz out."""

from hearaudiomlp.audio.files import AudioStream, Recording, read_audio

__all__ = ["AudioStream", "Recording", "read_audio"]
