"""The discrete Fourier transform of a frame as two small matrix products.

Cooley and Tukey's split (Math. Comp. 19, 1965) for N = P Q with n = Q n1 + n2 and k = k1 + P k2::

    X[k] = sum_n2 w(n2 k) sum_n1 exp(-2 pi i n1 k1 / P) x[Q n1 + n2],   w(m) = exp(-2 pi i m / N)

The inner sum is one matrix for all n2; the outer one, which includes the twiddle factors, is one
matrix for each k1. For real x, only k1 = 0 ... P/2 are needed: the others are mirrored. The first
and the last of these are real, so both fit into the place of one complex one. This takes a fifth
of the dense transform's multiplications. P = 12 and Q = 40 is near the fastest split and among the
most exact in nearly empty bands, where float32 has to subtract large numbers.
"""

from dataclasses import dataclass

import numpy as np

from hearaudiomlp_export.filters import BINS, MEL_BANDS, N_FFT, Matrix, mel_filterbank

P, Q = 12, 40
HALF = P // 2

assert P * Q == N_FFT


@dataclass(frozen=True)
class Factors:
    """The matrices of the two steps, and the mel matrix in the order of the second one's bins."""

    inner: Matrix
    """[shape=(P, P)]: rows are k1 = 0, k1 = P/2, then real and imaginary part of k1 = 1, 2 ..."""

    outer: Matrix
    """[shape=(P/2, 2Q, 2Q)]: for each k1, Q real parts, then Q imaginary parts."""

    mel: Matrix
    """[shape=(P/2 * Q, 40)]: weights of each bin's power, zero in places that are left over."""


def _inner() -> Matrix:
    n1 = np.arange(P)
    rows = [np.ones(P), (-1.0) ** n1]
    for k1 in range(1, HALF):
        angle = 2.0 * np.pi * n1 * k1 / P
        rows += [np.cos(angle), -np.sin(angle)]
    return np.array(rows)


def two_step_dft() -> Factors:
    """Return the matrices of the transform and of the mel filters that follow."""
    n2 = np.arange(Q)
    filterbank = mel_filterbank().T  # [241, 40]
    outer = np.zeros((HALF, 2 * Q, 2 * Q))
    mel = np.zeros((HALF, Q, MEL_BANDS))

    # The two real rows. Bins 0 and N/2 are in no mel band.
    real_bins = [(k, 0) for k in range(P, BINS - 1, P)] + [(k, 1) for k in range(HALF, BINS - 1, P)]
    for row, (k, place) in enumerate(real_bins):
        angle = 2.0 * np.pi * n2 * k / N_FFT
        columns = slice(place * Q, (place + 1) * Q)
        outer[0, row, columns] = np.cos(angle)
        outer[0, Q + row, columns] = -np.sin(angle)
        mel[0, row] = filterbank[k]

    for k1 in range(1, HALF):
        bins = k1 + P * np.arange(Q)
        angle = 2.0 * np.pi * np.outer(bins, n2) / N_FFT
        cos, sin = np.cos(angle), np.sin(angle)
        outer[k1] = np.block([[cos, sin], [-sin, cos]])
        mel[k1] = filterbank[
            np.minimum(bins, N_FFT - bins)
        ]  # a bin and its mirror have equal power
    assert not filterbank[[0, BINS - 1]].any()
    return Factors(_inner(), outer, mel.reshape(HALF * Q, MEL_BANDS))
