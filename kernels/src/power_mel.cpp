// The mel power spectrum, for one instruction set: ISA names it, and the compiler's options select
// it. Vectors have at most 8 lanes, of which 40 is a multiple.

#include "power_mel.h"

#include <cstring>

#include "tile.h"

namespace power_mel {
namespace {

static_assert(HALF % LANES == 0 && ROWS <= ROWS_AT_MOST, "power_mel.h has sizes for these vectors");

// Where a panel of 40 columns begins: the last one overlaps the one before, where 40 isn't a
// multiple of its width.
constexpr int begin(int column) { return column + PANEL <= HALF ? column : HALF - PANEL; }

void run(const float* packed, size_t, size_t windows, const float* x, float* y, float* workspace) {
  float* frame = workspace;            // [480]
  float* z = frame + FRAME;            // [6 x ROWS x 80]
  float* power = z + ROWS * FRAME;     // [ROWS x 240]
  const size_t rows = windows * FRAMES;
  for (size_t first = 0; first < rows; first += ROWS) {
    // A tile that isn't full has the last row several times.
    const auto row = [=](int i) { return first + i < rows ? first + i : rows - 1; };

    for (int i = 0; i < ROWS; ++i) {
      const float* samples = x + row(i) / FRAMES * WINDOW + row(i) % FRAMES * HOP;
      std::memcpy(frame, samples, 4 * FRAME);  // which may begin anywhere
      for (int j = 0; j < FRAME; j += LANES) at(frame + j) *= at(packed + offset(HANN) + j);
      for (int column = 0; column < HALF; column += PANEL) {
        for (int half = 0; half < INNER; half += 6) {
          const float* inner = packed + offset(INNER_DFT) + half * INNER;
          tile<6, INNER, HALF>(inner, frame + begin(column), [&](int k, int j, Vector sums) {
            const int r = half + k;
            at(z + (r / 2 * ROWS + i) * OUTER + r % 2 * HALF + begin(column) + j) = sums;
          });
        }
      }
    }

    const float* outer = packed + offset(OUTER_DFT);
    for (int bin = 0; bin < BINS; bin += LANES, outer += OUTER * PANEL) {
      tile<ROWS, OUTER>(z + bin / HALF * ROWS * OUTER, outer, [&](int i, int j, Vector sums) {
        Vector& to = at(power + i * BINS + bin);
        to = j ? to + sums * sums : sums * sums;  // the real parts come first
      });
    }

    const float* mel = packed + offset(MEL);
    for (int column = 0; column < BANDS; column += PANEL, mel += BINS * PANEL) {
      tile<ROWS, BINS>(power, mel, [&](int i, int j, Vector sums) {
        std::memcpy(y + row(i) * BANDS + begin(column) + j, &sums, sizeof sums);
      });
    }
  }
}

void pack(const float* const* tensors, float* packed) {
  std::memcpy(packed + offset(HANN), tensors[HANN], 4 * SIZES[HANN]);
  std::memcpy(packed + offset(INNER_DFT), tensors[INNER_DFT], 4 * SIZES[INNER_DFT]);
  // Panels of the real parts of some bins and their imaginary parts.
  float* to = packed + offset(OUTER_DFT);
  for (int bin = 0; bin < BINS; bin += LANES) {
    const float* outer = tensors[OUTER_DFT] + bin / HALF * OUTER * OUTER;
    for (int k = 0; k < OUTER; ++k) {
      for (int part = 0; part < OUTER; part += HALF) {
        for (int j = 0; j < LANES; ++j) *to++ = outer[(part + bin % HALF + j) * OUTER + k];
      }
    }
  }
  to = packed + offset(MEL);
  for (int column = 0; column < BANDS; column += PANEL) {
    for (int k = 0; k < BINS; ++k) {
      std::memcpy(to, tensors[MEL] + k * BANDS + begin(column), 4 * PANEL);
      to += PANEL;
    }
  }
}

}  // namespace

extern const Kernels JOIN(kernels_, ISA);
const Kernels JOIN(kernels_, ISA) = {pack, run};

}  // namespace power_mel
