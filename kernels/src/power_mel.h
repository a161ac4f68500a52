// The mel power spectrum of windows on its own: it knows nothing of ONNX Runtime.
//
// A window [16000] has 98 frames of 480 samples, 160 apart. With the Hann window h, the DFT of a
// frame takes two products, because 480 = 12 x 40: sample 40 m + q has the places m and q.
//
//     z[r, q]  = sum over m of inner[r, m] h[40 m + q] x[40 m + q]             r = 0 ... 11
//     re, im   = halves of outer[g] z[2 g ... 2 g + 1]                         g = 0 ... 5
//     y        = (re^2 + im^2 of all g) mel                                    240 bins, 40 bands
#pragma once

#include "kernels.h"

namespace power_mel {

constexpr int WINDOW = 16000, FRAMES = 98, HOP = 160, FRAME = 480;
constexpr int INNER = 12, GROUPS = 6, HALF = 40, OUTER = 2 * HALF, BINS = GROUPS * HALF, BANDS = 40;

// `inner` [12 x 12] and `outer` [6 x 80 x 80] are [out x in], row by row; `mel` is [240 x 40].
enum Tensor { HANN, INNER_DFT, OUTER_DFT, MEL, TENSORS };
constexpr size_t SIZES[TENSORS] = {FRAME, INNER * INNER, GROUPS * OUTER * OUTER, BINS * BANDS};

// Where each of them begins when they are packed.
constexpr size_t offset(int tensor) { return offset_in(SIZES, tensor); }

constexpr int ROWS_AT_MOST = 14, BANDS_AT_MOST = BANDS + 8;  // of a tile; in panels, which overlap

constexpr Operator OPERATOR = {
    "PowerMel",
    TENSORS,
    SIZES,
    /* packed */ offset(MEL) + BINS * BANDS_AT_MOST,
    /* workspace */ FRAME + ROWS_AT_MOST * (FRAME + BINS),
    /* of a window */ 0,
    /* x */ {1, WINDOW},
    /* y */ {FRAMES, BANDS},
};

}  // namespace power_mel
