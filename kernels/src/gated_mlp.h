// The stack of gated-MLP blocks on its own: it knows nothing of ONNX Runtime.
//
// A block maps x [98 frames x 64] to x + LayerNorm(gMLP(x)), where gMLP is
//
//     u    = GELU(x Win' + bin)          98 x 256, the exact GELU: u Phi(u)
//     r, g = halves of u                 98 x 128 each: residual and gate
//     g    = Wt LayerNorm(g) + bt        over time; Wt is 98 x 98, one bias for each frame
//     y    = (r * g) Wout' + bout        98 x 64
//
// gated_mlp.cpp is compiled once for each instruction set, and each of those has one `Kernels`.
#pragma once

#include <cstddef>

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

constexpr size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

// Where each of them begins in a packed block, every one on a cache line.
constexpr size_t offset(int tensor) {
  size_t sum = 0;
  for (int i = 0; i < tensor; ++i) sum += aligned(SIZES[i]);
  return sum;
}
constexpr size_t PACKED = offset(TENSORS);

// Floats of memory that `run` needs for some windows, beginning on a cache line.
constexpr size_t workspace(size_t windows) {
  return windows * FRAMES * WIDTH + 2 * FRAMES * HALF + 16 * HALF + 16 * WIDTH;
}

struct Kernels {
  const char* name;
  // Packs the tensors of one block; `packed` has PACKED floats and begins on a cache line.
  void (*pack)(const float* const tensors[TENSORS], float* packed);
  // Computes a stack of packed blocks; x and y are [98 x windows x 64], frames first.
  void (*run)(const float* packed, size_t blocks, size_t windows, const float* x, float* y,
              float* workspace);
};

// The fastest for this processor, or the one of a name; null, if there is none.
const Kernels* choose(const char* name = nullptr);

}  // namespace gated_mlp
