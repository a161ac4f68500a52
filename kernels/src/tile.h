// Vectors of the compiler (GCC's and Clang's vector extension) and the tile that all products are
// made of, for the instruction set that the compiler's options select.
//
// ROWS x two vectors of a product stay in registers while DEPTH is summed up, and what follows is
// done while the tile is in the first cache.
#pragma once

#include <cstdint>

namespace {

#if defined(__AVX512F__)  // 32 registers: 28 sums, two columns of weights, one value of x
constexpr int LANES = 16, ROWS = 14;
#elif defined(__AVX2__)  // 16 registers
constexpr int LANES = 8, ROWS = 6;
#elif defined(__aarch64__)  // 32 registers
constexpr int LANES = 4, ROWS = 14;
#else
constexpr int LANES = 4, ROWS = 6;
#endif
constexpr int PANEL = 2 * LANES;  // columns of a tile

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

inline Vector& at(float* values) { return *reinterpret_cast<Vector*>(values); }
inline const Vector& at(const float* values) { return *reinterpret_cast<const Vector*>(values); }

// One tile of a product: a [HEIGHT x DEPTH], row by row, times a panel [DEPTH x PANEL], whose rows
// are STRIDE apart. finish(row, column, sums) gets the sums of one vector.
template <int HEIGHT, int DEPTH, int STRIDE = PANEL, class Finish>
inline __attribute__((always_inline)) void tile(const float* a, const float* panel, Finish finish) {
  Vector sums[HEIGHT][2] = {};
#pragma GCC unroll 2
  for (int k = 0; k < DEPTH; ++k) {
    const Vector left = at(panel + k * STRIDE), right = at(panel + k * STRIDE + LANES);
#pragma GCC unroll 16
    for (int i = 0; i < HEIGHT; ++i) {
      const float value = a[i * DEPTH + k];
      sums[i][0] += left * value;
      sums[i][1] += right * value;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < HEIGHT; ++i) {
    finish(i, 0, sums[i][0]);
    finish(i, LANES, sums[i][1]);
  }
}

}  // namespace
