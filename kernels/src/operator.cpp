// The operator for ONNX Runtime: GatedMLPStack(x, 10 tensors of each block) -> y, float32, with x
// and y [98 n x 64], frames first. The tensors have to be constants: they are packed when a session
// is created.

#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "gated_mlp.h"
#include "onnxruntime_abi.h"

namespace gated_mlp {

extern const Kernels kernels_avx512, kernels_avx2, kernels_neon, kernels_plain;

const Kernels* choose(const char* name) {
  const Kernels* here[3];
  int count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) here[count++] = &kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    here[count++] = &kernels_avx2;
  }
#elif defined(__aarch64__)
  here[count++] = &kernels_neon;
#endif
  here[count++] = &kernels_plain;
  // ONNX Runtime's own operators are faster than the plain ones, which are there for tests.
  if (!name) return here[0] == &kernels_plain ? nullptr : here[0];
  for (int i = 0; i < count; ++i) {
    if (!std::strcmp(name, here[i]->name)) return here[i];
  }
  return nullptr;
}

}  // namespace gated_mlp

namespace {

using namespace gated_mlp;

struct Free {
  void operator()(float* memory) const { ::operator delete[](memory, std::align_val_t(64)); }
};
using Floats = std::unique_ptr<float[], Free>;

// Memory that begins on a cache line; null, if there isn't enough.
Floats allocate(size_t floats) {
  const auto alignment = std::align_val_t(64);
  return Floats(static_cast<float*>(::operator new[](4 * floats, alignment, std::nothrow)));
}

#define TRY(call) \
  if (ort::Status* failed_ = call) return failed_

struct Stack {
  ort::Functions* api;
  const Kernels* kernels;
  size_t blocks;
  Floats packed;

  ort::Status* fail(const char* why) const { return ort::CreateStatus::call(api, ort::FAIL, why); }

  ort::Status* pack(const ort::Info* info) {
    size_t inputs = 0;
    TRY(ort::KernelInfo_GetInputCount::call(api, info, &inputs));
    blocks = (inputs - 1) / TENSORS;
    if (inputs < 1 + TENSORS || inputs != 1 + blocks * TENSORS) {
      return fail("GatedMLPStack takes ten tensors of each block");
    }
    packed = allocate(blocks * PACKED);
    if (!packed) return fail("not enough memory for the weights");
    for (size_t block = 0; block < blocks; ++block) {
      const float* tensors[TENSORS];
      for (size_t i = 0; i < TENSORS; ++i) {
        TRY(constant(info, 1 + block * TENSORS + i, SIZES[i], &tensors[i]));
      }
      kernels->pack(tensors, packed.get() + block * PACKED);
    }
    return nullptr;
  }

  ort::Status* constant(const ort::Info* info, size_t index, size_t size, const float** data) {
    int is_constant = 0;
    const ort::Value* value = nullptr;
    TRY(ort::KernelInfoGetConstantInput_tensor::call(api, info, index, &is_constant, &value));
    if (!is_constant || !value) return fail("the weights of GatedMLPStack have to be constants");
    ort::Shape* shape = nullptr;
    TRY(ort::GetTensorTypeAndShape::call(api, value, &shape));
    size_t count = 0;
    ort::Status* problem = ort::GetTensorShapeElementCount::call(api, shape, &count);
    ort::ReleaseTensorTypeAndShapeInfo::call(api, shape);
    TRY(problem);
    if (count != size) return fail("GatedMLPStack is for blocks of 98 x 64, 256 wide inside");
    return ort::GetTensorMutableData::call(api, const_cast<ort::Value*>(value),
                                           reinterpret_cast<void**>(const_cast<float**>(data)));
  }

  ort::Status* compute(ort::Context* context) const {
    const ort::Value* x = nullptr;
    TRY(ort::KernelContext_GetInput::call(api, context, 0, &x));
    ort::Shape* shape = nullptr;
    TRY(ort::GetTensorTypeAndShape::call(api, x, &shape));
    size_t rank = 0;
    int64_t sizes[2] = {};
    ort::Status* problem = ort::GetDimensionsCount::call(api, shape, &rank);
    if (!problem && rank == 2) problem = ort::GetDimensions::call(api, shape, sizes, 2);
    ort::ReleaseTensorTypeAndShapeInfo::call(api, shape);
    TRY(problem);
    if (rank != 2 || sizes[0] % FRAMES || sizes[1] != WIDTH) {
      return fail("the input of GatedMLPStack is [98 n x 64]");
    }
    ort::Value* y = nullptr;
    TRY(ort::KernelContext_GetOutput::call(api, context, 0, sizes, 2, &y));
    void *from = nullptr, *to = nullptr;
    TRY(ort::GetTensorMutableData::call(api, const_cast<ort::Value*>(x), &from));
    TRY(ort::GetTensorMutableData::call(api, y, &to));
    const size_t windows = static_cast<size_t>(sizes[0]) / FRAMES;
    const Floats memory = allocate(workspace(windows));
    if (!memory) return fail("not enough memory for the windows");
    kernels->run(packed.get(), blocks, windows, static_cast<const float*>(from),
                 static_cast<float*>(to), memory.get());
    return nullptr;
  }
};

// HEARAUDIOMLP_KERNELS may name the instruction set; "0" is the name of none.
const Kernels* chosen() {
  const char* name = std::getenv("HEARAUDIOMLP_KERNELS");
  return choose(name && *name ? name : nullptr);
}

ort::Status* ORT_CALL create(const ort::CustomOp*, ort::Functions* api, const ort::Info* info,
                             void** kernel) {
  std::unique_ptr<Stack> stack(new (std::nothrow) Stack{api, chosen(), 0, {}});
  if (!stack || !stack->kernels) {
    return ort::CreateStatus::call(api, ort::FAIL, "no kernels for this processor");
  }
  TRY(stack->pack(info));
  *kernel = stack.release();
  return nullptr;
}

ort::CustomOp make_operator() {
  using Op = const ort::CustomOp*;
  ort::CustomOp op = {};
  op.version = ort::API_VERSION;
  op.GetName = [](Op) { return "GatedMLPStack"; };
  op.GetExecutionProviderType = [](Op) -> const char* { return "CPUExecutionProvider"; };
  op.GetInputType = op.GetOutputType = [](Op, size_t) -> int { return ort::FLOAT; };
  op.GetInputTypeCount = [](Op) -> size_t { return 2; };
  op.GetOutputTypeCount = [](Op) -> size_t { return 1; };
  op.GetInputCharacteristic = [](Op, size_t index) -> int {
    return index ? ort::VARIADIC : ort::REQUIRED;
  };
  op.GetOutputCharacteristic = [](Op, size_t) -> int { return ort::REQUIRED; };
  op.GetInputMemoryType = [](Op, size_t) -> int { return ort::MEMORY_DEFAULT; };
  op.GetVariadicInputMinArity = op.GetVariadicOutputMinArity = [](Op) -> int { return TENSORS; };
  op.GetVariadicInputHomogeneity = op.GetVariadicOutputHomogeneity = [](Op) { return 1; };
  op.CreateKernelV2 = create;
  op.KernelComputeV2 = [](void* kernel, ort::Context* context) {
    return static_cast<const Stack*>(kernel)->compute(context);
  };
  op.KernelDestroy = [](void* kernel) { delete static_cast<Stack*>(kernel); };
  op.GetStartVersion = [](Op) { return 1; };
  op.GetEndVersion = [](Op) { return INT_MAX; };
  return op;
}

ort::Status* make_domain(ort::Functions* api, ort::Domain** domain) {
  static const ort::CustomOp op = make_operator();
  TRY(ort::CreateCustomOpDomain::call(api, "hearaudiomlp.kernels", domain));
  return ort::CustomOpDomain_Add::call(api, *domain, &op);
}

}  // namespace

// Which instruction set is used here; null, if the processor has none of them.
EXPORT const char* hearaudiomlp_kernels() { return chosen() ? chosen()->name : nullptr; }

// What ONNX Runtime calls when the library is registered. The domain has to outlive all sessions.
EXPORT ort::Status* ORT_CALL RegisterCustomOps(ort::SessionOptions* options,
                                               const ort::ApiBase* base) {
  ort::Functions* api = base->GetApi(ort::API_VERSION);
  static ort::Domain* domain = nullptr;
  static ort::Status* const problem = make_domain(api, &domain);
  TRY(problem);
  return ort::AddCustomOpDomain::call(api, options, domain);
}

// The kernels without ONNX Runtime, for tests and benchmarks: `tensors` has TENSORS pointers for
// each block. Returns false if there are none of that name here.
EXPORT bool hearaudiomlp_kernels_run(const char* name, const float* const* tensors, size_t blocks,
                                     size_t windows, const float* x, float* y) {
  const Kernels* kernels = choose(name);
  const Floats packed = allocate(blocks * PACKED), memory = allocate(workspace(windows));
  if (!kernels || !packed || !memory) return false;
  for (size_t block = 0; block < blocks; ++block) {
    kernels->pack(tensors + block * TENSORS, packed.get() + block * PACKED);
  }
  kernels->run(packed.get(), blocks, windows, x, y, memory.get());
  return true;
}
