"""How the headers of WAV, AIFF, AU and CAF describe PCM samples.

Where a header is wrong about the number of its samples, they are read without it. Sources as in
:mod:`hearaudiomlp.audio.containers.chunks`.
"""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from hearaudiomlp.audio.containers.structure import RawPcm, read_at

WAV_PCM, WAV_ADPCM, WAV_FLOAT, WAV_ALAW, WAV_ULAW, WAV_IMA_ADPCM = 1, 2, 3, 6, 7, 0x11
_EXTENSIBLE = 0xFFFE

_WAV = {
    (WAV_PCM, 8): "PCM_U8",
    (WAV_PCM, 16): "PCM_16",
    (WAV_PCM, 24): "PCM_24",
    (WAV_PCM, 32): "PCM_32",
    (WAV_FLOAT, 32): "FLOAT",
    (WAV_FLOAT, 64): "DOUBLE",
    (WAV_ALAW, 8): "ALAW",
    (WAV_ULAW, 8): "ULAW",
}

_INTEGERS = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
"""By bytes of a sample."""

_AIFC = {
    b"sowt": "PCM_16",
    b"raw ": "PCM_U8",
    b"in24": "PCM_24",
    b"in32": "PCM_32",
    b"42ni": "PCM_24",
    b"23ni": "PCM_32",
    b"fl32": "FLOAT",
    b"FL32": "FLOAT",
    b"fl64": "DOUBLE",
    b"FL64": "DOUBLE",
    b"ulaw": "ULAW",
    b"ULAW": "ULAW",
    b"alaw": "ALAW",
    b"ALAW": "ALAW",
}

_AU = {
    1: "ULAW",
    2: "PCM_S8",
    3: "PCM_16",
    4: "PCM_24",
    5: "PCM_32",
    6: "FLOAT",
    7: "DOUBLE",
    27: "ALAW",
}

_BYTES = {
    "PCM_S8": 1,
    "PCM_U8": 1,
    "ULAW": 1,
    "ALAW": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
}

_DTYPES = {"PCM_16": "i2", "PCM_32": "i4", "FLOAT": "f4", "DOUBLE": "f8"}


class PcmLayout(NamedTuple):
    """What a header says about samples.

    Examples:
        >>> layout = PcmLayout("FLOAT", channels=1, sample_rate=16000, big_endian=False)
        >>> layout.rms(np.full(10, 0.5, "<f4").tobytes())
        0.5
    """

    subtype: str
    """As libsndfile calls it."""

    channels: int
    sample_rate: int
    big_endian: bool

    def within(self, start: int, size: int) -> RawPcm:
        """Return the whole frames among ``size`` bytes from ``start`` on.

        Examples:
            >>> PcmLayout("PCM_16", 1, 16000, big_endian=False).within(44, 1001).size
            1000
        """
        frame = self.channels * _BYTES[self.subtype]
        return RawPcm(
            start, size - size % frame, self.sample_rate, self.channels, self.subtype,
            self.big_endian,
        )  # fmt: skip

    def rms(self, data: bytes) -> float | None:
        """Return the RMS of samples in [-1, 1]; None, where there are none or their kind is rare.

        Examples:
            >>> layout = PcmLayout("PCM_16", channels=1, sample_rate=16000, big_endian=True)
            >>> layout.rms(bytes([0x40, 0, 0xC0, 0]))
            0.5
        """
        if (dtype := _DTYPES.get(self.subtype)) is None:
            return None
        exact = np.dtype(dtype).newbyteorder(">" if self.big_endian else "<")
        values = np.frombuffer(data[: len(data) - len(data) % exact.itemsize], exact)
        if not len(values):
            return None
        wide = values.astype(np.float64)
        if exact.kind == "i":
            wide /= 2.0 ** (8 * exact.itemsize - 1)
        with np.errstate(all="ignore"):
            return float(np.sqrt(np.mean(wide**2)))


def _layout(subtype: str | None, channels: int, rate: int, *, big_endian: bool) -> PcmLayout | None:
    if subtype is None or not 0 < channels <= 1024 or rate <= 0:
        return None
    return PcmLayout(subtype, channels, rate, big_endian)


def wav_codec(form: bytes, order: str = "<") -> int:
    """Return the number of the codec in a WAV's chunk ``fmt``; 0, if it is too short.

    Examples:
        >>> wav_codec(struct.pack("<HHIIHH", 0x55, 1, 16000, 8000, 1, 0)) == 0x55  # of MP3
        True
    """
    tag = int(struct.unpack(f"{order}H", form[:2].ljust(2, b"\0"))[0])
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = int(struct.unpack(f"{order}H", form[24:26])[0])
    return tag


def in_wav(form: bytes, order: str = "<") -> PcmLayout | None:
    """Read a WAV's chunk ``fmt``; None, if its samples aren't PCM, or are packed unusually.

    Examples:
        >>> in_wav(struct.pack("<HHIIHH", WAV_PCM, 2, 16000, 64000, 4, 16))
        PcmLayout(subtype='PCM_16', channels=2, sample_rate=16000, big_endian=False)
    """
    if len(form) < 16:
        return None
    _, channels, rate, _, frame, bits = struct.unpack(f"{order}HHIIHH", form[:16])
    codec = wav_codec(form, order)
    if codec == WAV_PCM and channels and 0 < bits <= 8 * (frame // channels):
        bits = 8 * (frame // channels)  # 12, 20 or 24 bits are the upper ones of 16, 24 or 32
    subtype = _WAV.get((codec, bits))
    if frame != channels * bits // 8:
        return None
    return _layout(subtype, channels, rate, big_endian=order == ">")


def in_aiff(common: bytes) -> PcmLayout | None:
    """Read the chunk ``COMM`` of an AIFF or AIFF-C; None, if its samples aren't PCM.

    Examples:
        >>> rate = struct.pack(">HQ", 16383 + 13, 16000 << 50)  # 80 bits of floating point
        >>> in_aiff(struct.pack(">hIh", 1, 0, 16) + rate + b"sowt")
        PcmLayout(subtype='PCM_16', channels=1, sample_rate=16000, big_endian=False)
    """
    if len(common) < 18:
        return None
    channels, _, bits, exponent, mantissa = struct.unpack(">hIhHQ", common[:18])
    rate = round(mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63)) if exponent < 16500 else 0
    codec = common[18:22] or b"NONE"
    plain = codec in (b"NONE", b"twos")
    subtype = _INTEGERS.get((bits + 7) // 8) if plain else _AIFC.get(codec)
    little = codec in (b"sowt", b"42ni", b"23ni")
    return _layout(subtype, channels, rate, big_endian=not little)


def in_au(file: BinaryIO) -> PcmLayout | None:
    """Read the header of an AU; None, if its samples aren't PCM.

    Examples:
        >>> import io
        >>> in_au(io.BytesIO(struct.pack(">4sIIIII", b".snd", 24, 0, 6, 16000, 1)))
        PcmLayout(subtype='FLOAT', channels=1, sample_rate=16000, big_endian=True)
    """
    encoding, rate, channels = struct.unpack(">III", read_at(file, 12, 12).ljust(12, b"\0"))
    return _layout(_AU.get(encoding), channels, rate, big_endian=True)


def in_caf(description: bytes) -> PcmLayout | None:
    """Read the chunk ``desc`` of a CAF; None, if its samples aren't PCM or packed unusually.

    Examples:
        >>> in_caf(struct.pack(">d4sIIIII", 16000, b"lpcm", 2, 2, 1, 1, 16))
        PcmLayout(subtype='PCM_16', channels=1, sample_rate=16000, big_endian=False)
    """
    if len(description) < 32:
        return None
    hertz, codec, flags, packet, frames, channels, bits = struct.unpack(
        ">d4sIIIII", description[:32]
    )
    is_float, little = flags & 1, flags & 2
    if codec == b"lpcm":
        subtype = {32: "FLOAT", 64: "DOUBLE"}.get(bits) if is_float else _INTEGERS.get(bits // 8)
    else:
        subtype = {b"ulaw": "ULAW", b"alaw": "ALAW"}.get(codec)
    if frames != 1 or subtype is None or packet != channels * _BYTES[subtype]:
        return None
    rate = round(hertz) if 0 < hertz < 1e7 else 0
    return _layout(subtype, channels, rate, big_endian=not little)
