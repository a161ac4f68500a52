// The blocks, for one instruction set: ISA names it, and the compiler's options select it.
//
// What follows a product (GELU, gate, LayerNorm, residual sum) is done to its tile. Nothing leaves
// the second cache: x has 25 KB a window, the halves of u 50 KB each, a block's weights 134 KB.

#include "gated_mlp.h"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "tile.h"

namespace gated_mlp {
namespace {

// Adds one half of the vector to the other, until all lanes have the whole sum.
template <int STEP = LANES / 2, int... I>
inline Vector fold(Vector v, std::integer_sequence<int, I...> lanes) {
  v += __builtin_shufflevector(v, v, (I ^ STEP)...);
  if constexpr (STEP > 1) v = fold<STEP / 2>(v, lanes);
  return v;
}
inline float sum(Vector v) { return fold(v, std::make_integer_sequence<int, LANES>())[0]; }

// x Phi(x) = max(x, 0) - |x| Q(|x|), where Q = 1 - Phi is by Abramowitz and Stegun, Handbook of
// Mathematical Functions, 7.1.28: erfc(z) = (1 + a1 z + ... + a6 z^6)^-16 with an error of 3e-7.
// With z = |x| / sqrt(2), and the factor 1/2 between erfc and Q inside the sixteenth power.
inline Vector gelu(Vector x) {
  constexpr double half = 1.044273782427413840, z = 0.70710678118654752;  // 2^(1/16), 2^(-1/2)
  constexpr float a0 = half, a1 = half * 0.0705230784 * z, a2 = half * 0.0422820123 * z * z,
                  a3 = half * 0.0092705272 * z * z * z, a4 = half * 0.0001520143 * z * z * z * z,
                  a5 = half * 0.0002765672 * z * z * z * z * z,
                  a6 = half * 0.0000430638 * z * z * z * z * z * z;
  const Vector a = (Vector)((Integers)x & 0x7fffffff);
  Vector p = a * a6 + a5;
  p = p * a + a4;
  p = p * a + a3;
  p = p * a + a2;
  p = p * a + a1;
  p = p * a + a0;
  p *= p;
  p *= p;
  p *= p;
  p *= p;
  return (x > 0 ? x : Vector{}) - a / p;
}

// LayerNorm of a row in registers, SIZE numbers.
template <int SIZE>
inline void normalize(Vector (&row)[SIZE / LANES], const float* weight, const float* bias) {
  Vector total = {}, squares = {};
#pragma GCC unroll 16
  for (const Vector& part : row) total += part;
  const float mean = sum(total) * (1.0f / SIZE);
#pragma GCC unroll 16
  for (Vector& part : row) {
    part -= mean;
    squares += part * part;
  }
  const float scale = 1.0f / std::sqrt(sum(squares) * (1.0f / SIZE) + EPSILON);
#pragma GCC unroll 16
  for (int j = 0; j < SIZE / LANES; ++j) {
    row[j] = row[j] * scale * at(weight + j * LANES) + at(bias + j * LANES);
  }
}

// Calls body(first, height) for tiles that cover all frames.
template <class Body>
inline void each_tile(Body body) {
  int first = 0;
  for (; first + ROWS <= FRAMES; first += ROWS) {
    body(first, std::integral_constant<int, ROWS>());
  }
  if constexpr (FRAMES % ROWS) body(first, std::integral_constant<int, FRAMES % ROWS>());
}

// One block on one window, in place: x [98 x 64].
void block(const float* packed, float* x, float* scratch) {
  float* residual = scratch;               // [98 x 128]
  float* gate = residual + FRAMES * HALF;  // in panels, [128 / PANEL][98 x PANEL]
  float* rows = gate + FRAMES * HALF;      // [ROWS x 128]
  float* out = rows + 16 * HALF;           // [ROWS x 64]
  const float* in_bias = packed + offset(IN_BIAS);

  each_tile([&](int first, auto height) {
    const float* in = packed + offset(IN_WEIGHT);
    for (int column = 0; column < HIDDEN; column += PANEL, in += WIDTH * PANEL) {
      float* u = column < HALF ? residual + first * HALF + column : rows + column - HALF;
      tile<height, WIDTH>(x + first * WIDTH, in, [&](int i, int j, Vector sums) {
        at(u + i * HALF + j) = gelu(sums + at(in_bias + column + j));
      });
    }
    for (int i = 0; i < height; ++i) {
      Vector row[HALF / LANES];
#pragma GCC unroll 16
      for (int j = 0; j < HALF / LANES; ++j) row[j] = at(rows + i * HALF + j * LANES);
      normalize<HALF>(row, packed + offset(GATE_WEIGHT), packed + offset(GATE_BIAS));
#pragma GCC unroll 16
      for (int j = 0; j < HALF / LANES; ++j) {
        at(gate + (j / 2 * FRAMES + first + i) * PANEL + j % 2 * LANES) = row[j];
      }
    }
  });

  each_tile([&](int first, auto height) {
    const float* time = packed + offset(TIME_WEIGHT) + first * FRAMES;
    const float* time_bias = packed + offset(TIME_BIAS) + first;
    for (int column = 0; column < HALF; column += PANEL) {
      const float* r = residual + first * HALF + column;
      tile<height, FRAMES>(time, gate + column * FRAMES, [&](int i, int j, Vector sums) {
        at(rows + i * HALF + column + j) = (sums + time_bias[i]) * at(r + i * HALF + j);
      });
    }
    for (int column = 0; column < WIDTH; column += PANEL) {
      const float* bias = packed + offset(OUT_BIAS) + column;
      tile<height, HALF>(rows, packed + offset(OUT_WEIGHT) + column * HALF,
                         [&](int i, int j, Vector sums) {
                           at(out + i * WIDTH + column + j) = sums + at(bias + j);
                         });
    }
    for (int i = 0; i < height; ++i) {
      Vector row[WIDTH / LANES];
#pragma GCC unroll 16
      for (int j = 0; j < WIDTH / LANES; ++j) row[j] = at(out + i * WIDTH + j * LANES);
      normalize<WIDTH>(row, packed + offset(NORM_WEIGHT), packed + offset(NORM_BIAS));
#pragma GCC unroll 16
      for (int j = 0; j < WIDTH / LANES; ++j) at(x + (first + i) * WIDTH + j * LANES) += row[j];
    }
  });
}

void run(const float* packed, size_t blocks, size_t windows, const float* x, float* y,
         float* workspace) {
  float* scratch = workspace + windows * FRAMES * WIDTH;
  for (size_t t = 0; t < FRAMES; ++t) {
    for (size_t w = 0; w < windows; ++w) {
      std::memcpy(workspace + (w * FRAMES + t) * WIDTH, x + (t * windows + w) * WIDTH, 4 * WIDTH);
    }
  }
  // All windows in each block, whose weights so come from memory once.
  for (size_t b = 0; b < blocks; ++b) {
    for (size_t w = 0; w < windows; ++w) {
      block(packed + b * PACKED, workspace + w * FRAMES * WIDTH, scratch);
    }
  }
  for (size_t t = 0; t < FRAMES; ++t) {
    for (size_t w = 0; w < windows; ++w) {
      std::memcpy(y + (t * windows + w) * WIDTH, workspace + (w * FRAMES + t) * WIDTH, 4 * WIDTH);
    }
  }
}

// A matrix [out x in] as panels [in x PANEL], the way in which a tile reads it.
void pack_matrix(const float* matrix, int out, int in, float* packed) {
  for (int column = 0; column < out; column += PANEL) {
    for (int k = 0; k < in; ++k) {
      for (int j = 0; j < PANEL; ++j) *packed++ = matrix[(column + j) * in + k];
    }
  }
}

void pack(const float* const* tensors, float* packed) {
  for (int i = 0; i < TENSORS; ++i) {
    std::memcpy(packed + offset(i), tensors[i], 4 * SIZES[i]);
  }
  pack_matrix(tensors[IN_WEIGHT], HIDDEN, WIDTH, packed + offset(IN_WEIGHT));
  pack_matrix(tensors[OUT_WEIGHT], WIDTH, HALF, packed + offset(OUT_WEIGHT));
}

}  // namespace

extern const Kernels JOIN(kernels_, ISA);
const Kernels JOIN(kernels_, ISA) = {pack, run};

}  // namespace gated_mlp
