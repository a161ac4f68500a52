// What the operators have in common. Their kernels know nothing of ONNX Runtime: they are compiled
// once for each instruction set, and each of those has one `Kernels` of each operator.
#pragma once

#include <cstddef>

struct Operator {
  const char* name;
  size_t tensors;       // constants of a block
  const size_t* sizes;  // of each of them, in floats
  size_t packed;        // floats of a packed block, a multiple of a cache line
  size_t workspace;     // floats of memory that `run` needs,
  size_t for_a_window;  // and for each window besides
  int x[2], y[2];       // [rows of a window x width]
};

struct Kernels {
  // Packs the tensors of one block; `packed` begins on a cache line.
  void (*pack)(const float* const* tensors, float* packed);
  // Computes a stack of packed blocks; `workspace` begins on a cache line.
  void (*run)(const float* packed, size_t blocks, size_t windows, const float* x, float* y,
              float* workspace);
};

constexpr size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

// Where a tensor begins when several are packed, every one on a cache line.
constexpr size_t offset_in(const size_t* sizes, int tensor) {
  size_t sum = 0;
  for (int i = 0; i < tensor; ++i) sum += aligned(sizes[i]);
  return sum;
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
