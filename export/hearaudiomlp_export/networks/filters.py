"""The fixed matrices of the front end, from their formulas, in float64.

They are written out here, rather than taken from librosa, so that librosa stays an independent
reference: :mod:`hearaudiomlp_export.verify.encoder` compares each of them with librosa's.
"""

import numpy as np
import numpy.typing as npt

from hearaudiomlp.spec import HOP, MEL_BANDS, SAMPLE_RATE

Matrix = npt.NDArray[np.float64]

N_FFT = 480
"""Samples in a frame: 30 ms."""

BINS = N_FFT // 2 + 1
"""Bins of a frame's spectrum, 0 Hz and 8 kHz included."""

# Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0

assert N_FFT == 3 * HOP, "the graph cuts frames out of whole hops"


def hann_window() -> Matrix:
    """Return the periodic Hann window, ``0.5 - 0.5 cos(2 pi n / N)`` [shape=(480,)].

    Examples:
        >>> hann_window()[[0, 120, 240]]
        array([0. , 0.5, 1. ])
    """
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)


def _hz_to_mel(hz: Matrix) -> Matrix:
    log_part = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ_PER_MEL, log_part)


def _mel_to_hz(mel: Matrix) -> Matrix:
    log_part = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, log_part)


def mel_filterbank(frequencies: Matrix | None = None) -> Matrix:
    """Return the triangular mel filters [shape=(40, 241)], 0 Hz to 8 kHz.

    Centres are equally spaced on Slaney's mel scale, and each triangle is scaled by
    ``2 / (upper - lower)`` (its bandwidth in Hz), which gives every band the same area.

    Args:
        frequencies: in Hz, of the bins [shape=(241,)], if they aren't the transform's own: a
            warped axis (vocal-tract-length perturbation) moves the formants.

    Examples:
        >>> mel_filterbank().shape
        (40, 241)
    """
    bins = np.arange(BINS) * (SAMPLE_RATE / N_FFT) if frequencies is None else frequencies
    top = _hz_to_mel(np.array([SAMPLE_RATE / 2.0]))[0]
    edges = _mel_to_hz(np.linspace(0.0, top, MEL_BANDS + 2))
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filterbank: Matrix = triangles * (2.0 / (upper - lower))
    return filterbank


def dct_matrix() -> Matrix:
    """Return the orthonormal DCT-II matrix [shape=(40, 40)]; row ``k`` makes coefficient ``k``.

    ``sqrt(2/N) cos(pi k (2n + 1) / 2N)``, with row 0 divided by ``sqrt(2)``.

    Examples:
        >>> matrix = dct_matrix()
        >>> np.allclose(matrix @ matrix.T, np.eye(40))
        True
    """
    k = np.arange(MEL_BANDS)[:, None]
    n = np.arange(MEL_BANDS)[None, :]
    matrix: Matrix = np.sqrt(2.0 / MEL_BANDS) * np.cos(np.pi * k * (2 * n + 1) / (2 * MEL_BANDS))
    matrix[0] /= np.sqrt(2.0)
    return matrix
