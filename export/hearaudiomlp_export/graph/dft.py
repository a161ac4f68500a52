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
import numpy.typing as npt

from hearaudiomlp_export.networks.filters import BINS, N_FFT, Matrix, mel_filterbank

P, Q = 12, 40
HALF = P // 2

assert P * Q == N_FFT


@dataclass(frozen=True)
class Factors:
    """The matrices of the two steps, and the mel matrix in the order of the second one's bins.

    Examples:
        >>> factors = two_step_dft()
        >>> factors.inner.shape, factors.mel.shape
        ((12, 12), (240, 40))
    """

    inner: Matrix
    """[shape=(P, P)]: rows are k1 = 0, k1 = P/2, then real and imaginary part of k1 = 1, 2 ..."""

    outer: Matrix
    """[shape=(P/2, 2Q, 2Q)]: for each k1, Q real parts, then Q imaginary parts."""

    mel: Matrix
    """[shape=(P/2 * Q, 40)]: weights of each bin's power, zero in places that are left over."""


def bin_order() -> npt.NDArray[np.int64]:
    """Return the bin whose power is in each place of the outer step, -1 where there is none.

    Bins beyond N/2 appear as their mirrors: k and N - k have equal power.

    Examples:
        >>> bin_order()[:4]
        array([12, 24, 36, 48])
    """
    order = np.full((HALF, Q), -1)
    # The two real rows share a place. Bins 0 and N/2 are in no mel band, and are left out.
    real = [*range(P, BINS - 1, P), *range(HALF, BINS - 1, P)]
    order[0, : len(real)] = real
    for k1 in range(1, HALF):
        bins = k1 + P * np.arange(Q)
        order[k1] = np.minimum(bins, N_FFT - bins)
    return order.reshape(-1)


def _inner() -> Matrix:
    n1 = np.arange(P)
    rows = [np.ones(P), (-1.0) ** n1]
    for k1 in range(1, HALF):
        angle = 2.0 * np.pi * n1 * k1 / P
        rows += [np.cos(angle), -np.sin(angle)]
    return np.array(rows)


def two_step_dft() -> Factors:
    """Return the matrices of the transform and of the mel filters that follow.

    Examples:
        >>> two_step_dft().outer.shape
        (6, 80, 80)
    """
    n2 = np.arange(Q)
    outer = np.zeros((HALF, 2 * Q, 2 * Q))
    order = bin_order()
    for row, k in enumerate(order[:Q][order[:Q] >= 0]):  # k1 = 0, then k1 = P/2
        angle = 2.0 * np.pi * n2 * k / N_FFT
        columns = slice(0, Q) if k % P == 0 else slice(Q, 2 * Q)
        outer[0, row, columns] = np.cos(angle)
        outer[0, Q + row, columns] = -np.sin(angle)
    for k1 in range(1, HALF):
        angle = 2.0 * np.pi * np.outer(k1 + P * np.arange(Q), n2) / N_FFT
        cos, sin = np.cos(angle), np.sin(angle)
        outer[k1] = np.block([[cos, sin], [-sin, cos]])
    filterbank = mel_filterbank().T  # [241, 40]
    assert not filterbank[[0, BINS - 1]].any()
    mel = np.where(order[:, None] >= 0, filterbank[order], 0.0)
    return Factors(_inner(), outer, mel)
