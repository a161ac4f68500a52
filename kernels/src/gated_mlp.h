// The stack of gated-MLP blocks on its own: it knows nothing of ONNX Runtime.
//
// A block maps x [98 frames x 64] to x + LayerNorm(gMLP(x)), where gMLP is
//
//     u    = GELU(x Win' + bin)          98 x 256, the exact GELU: u Phi(u)
//     r, g = halves of u                 98 x 128 each: residual and gate
//     g    = Wt LayerNorm(g) + bt        over time; Wt is 98 x 98, one bias for each frame
//     y    = (r * g) Wout' + bout        98 x 64
//
// x and y of `run` are [98 x windows x 64], frames first.
#pragma once

#include "kernels.h"

namespace gated_mlp {

constexpr int FRAMES = 98, WIDTH = 64, HALF = 128, HIDDEN = 2 * HALF;
constexpr float EPSILON = 1e-5f;  // of every LayerNorm

// The tensors of one block, as checkpoints have them: matrices are [out x in], row by row.
enum Tensor {
  IN_WEIGHT, IN_BIAS, GATE_WEIGHT, GATE_BIAS, TIME_WEIGHT, TIME_BIAS, OUT_WEIGHT, OUT_BIAS,
  NORM_WEIGHT, NORM_BIAS, TENSORS,
};
constexpr size_t SIZES[TENSORS] = {
    HIDDEN * WIDTH, HIDDEN, HALF, HALF, FRAMES * FRAMES, FRAMES, WIDTH * HALF, WIDTH, WIDTH, WIDTH,
};

// Where each of them begins in a packed block.
constexpr size_t offset(int tensor) { return offset_in(SIZES, tensor); }
constexpr size_t PACKED = offset(TENSORS);

constexpr Operator OPERATOR = {
    "GatedMLPStack",
    TENSORS,
    SIZES,
    PACKED,
    /* workspace */ 2 * FRAMES * HALF + 16 * HALF + 16 * WIDTH,
    /* of a window */ FRAMES * WIDTH,
    /* x */ {FRAMES, WIDTH},
    /* y */ {FRAMES, WIDTH},
};

}  // namespace gated_mlp
