// The operators for ONNX Runtime, float32:
//
//     GatedMLPStack(x [98 n x 64], 10 tensors of each block) -> y [98 n x 64], frames first
//     PowerMel(windows [n x 16000], 4 tensors) -> y [98 n x 40], windows first
//
// The tensors have to be constants: they are packed when a session is created.

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "gated_mlp.h"
#include "onnxruntime_abi.h"
#include "power_mel.h"

namespace gated_mlp {
extern const Kernels kernels_avx512, kernels_avx2, kernels_neon, kernels_plain;
}
namespace power_mel {
extern const Kernels kernels_avx2, kernels_neon, kernels_plain;
}

namespace {

// The kernels of both operators for one instruction set.
struct InstructionSet {
  const char* name;
  const Kernels *gated_mlp, *power_mel;
};

// The fastest for this processor, or the one of a name; its name is null, if there is none.
InstructionSet choose(const char* name) {
  InstructionSet here[3];
  int count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    if (__builtin_cpu_supports("avx512f")) {
      here[count++] = {"avx512", &gated_mlp::kernels_avx512, &power_mel::kernels_avx2};
    }
    here[count++] = {"avx2", &gated_mlp::kernels_avx2, &power_mel::kernels_avx2};
  }
#elif defined(__aarch64__)
  here[count++] = {"neon", &gated_mlp::kernels_neon, &power_mel::kernels_neon};
#endif
  here[count++] = {"plain", &gated_mlp::kernels_plain, &power_mel::kernels_plain};
  // ONNX Runtime's own operators are faster than the plain ones, which are there for tests.
  if (!name) return count > 1 ? here[0] : InstructionSet();
  for (int i = 0; i < count; ++i) {
    if (!std::strcmp(name, here[i].name)) return here[i];
  }
  return {};
}

struct Free {
  void operator()(float* memory) const { ::operator delete[](memory, std::align_val_t(64)); }
};
using Floats = std::unique_ptr<float[], Free>;

// Memory that begins on a cache line; null, if there isn't enough.
Floats allocate(size_t floats) {
  const auto alignment = std::align_val_t(64);
  return Floats(static_cast<float*>(::operator new[](4 * floats, alignment, std::nothrow)));
}

constexpr size_t MOST_TENSORS = gated_mlp::TENSORS;  // of a block of any operator

#define TRY(call) \
  if (ort::Status* failed_ = call) return failed_

// A node of one of the operators.
struct Node {
  ort::Functions* api;
  const Operator* op;
  const Kernels* kernels;
  size_t blocks;
  Floats packed;

  ort::Status* fail(const char* why) const { return ort::CreateStatus::call(api, ort::FAIL, why); }

  ort::Status* pack(const ort::Info* info) {
    size_t inputs = 0;
    TRY(ort::KernelInfo_GetInputCount::call(api, info, &inputs));
    blocks = (inputs - 1) / op->tensors;
    if (inputs < 1 + op->tensors || inputs != 1 + blocks * op->tensors) {
      return fail("an operator of the kernels has another number of tensors");
    }
    packed = allocate(blocks * op->packed);
    if (!packed) return fail("not enough memory for the weights");
    for (size_t block = 0; block < blocks; ++block) {
      const float* tensors[MOST_TENSORS];
      for (size_t i = 0; i < op->tensors; ++i) {
        TRY(constant(info, 1 + block * op->tensors + i, op->sizes[i], &tensors[i]));
      }
      kernels->pack(tensors, packed.get() + block * op->packed);
    }
    return nullptr;
  }

  ort::Status* constant(const ort::Info* info, size_t index, size_t size, const float** data) {
    int is_constant = 0;
    const ort::Value* value = nullptr;
    TRY(ort::KernelInfoGetConstantInput_tensor::call(api, info, index, &is_constant, &value));
    if (!is_constant || !value) return fail("the tensors of the kernels have to be constants");
    ort::Shape* shape = nullptr;
    TRY(ort::GetTensorTypeAndShape::call(api, value, &shape));
    size_t count = 0;
    ort::Status* problem = ort::GetTensorShapeElementCount::call(api, shape, &count);
    ort::ReleaseTensorTypeAndShapeInfo::call(api, shape);
    TRY(problem);
    if (count != size) return fail("a tensor of the kernels has another size");
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
    if (rank != 2 || sizes[0] % op->x[0] || sizes[1] != op->x[1]) {
      return fail("the input of an operator of the kernels has another shape");
    }
    const size_t windows = static_cast<size_t>(sizes[0] / op->x[0]);
    sizes[0] = sizes[0] / op->x[0] * op->y[0];
    sizes[1] = op->y[1];
    ort::Value* y = nullptr;
    TRY(ort::KernelContext_GetOutput::call(api, context, 0, sizes, 2, &y));
    void *from = nullptr, *to = nullptr;
    TRY(ort::GetTensorMutableData::call(api, const_cast<ort::Value*>(x), &from));
    TRY(ort::GetTensorMutableData::call(api, y, &to));
    const Floats memory = allocate(op->workspace + windows * op->for_a_window);
    if (!memory) return fail("not enough memory for the windows");
    kernels->run(packed.get(), blocks, windows, static_cast<const float*>(from),
                 static_cast<float*>(to), memory.get());
    return nullptr;
  }
};

// HEARAUDIOMLP_KERNELS may name the instruction set; "0" is the name of none.
InstructionSet chosen() {
  const char* name = std::getenv("HEARAUDIOMLP_KERNELS");
  return choose(name && *name ? name : nullptr);
}

// What ONNX Runtime knows of an operator, and which one that is.
struct CustomOp : ort::CustomOp {
  const Operator* op;
  const Kernels* InstructionSet::*kernels;
};
using Op = const ort::CustomOp*;
const CustomOp& custom(Op op) { return *static_cast<const CustomOp*>(op); }

ort::Status* ORT_CALL create(Op op, ort::Functions* api, const ort::Info* info, void** kernel) {
  const InstructionSet isa = chosen();
  if (!isa.name) return ort::CreateStatus::call(api, ort::FAIL, "no kernels for this processor");
  std::unique_ptr<Node> node(
      new (std::nothrow) Node{api, custom(op).op, isa.*custom(op).kernels, 0, {}});
  if (!node) return ort::CreateStatus::call(api, ort::FAIL, "not enough memory for a node");
  TRY(node->pack(info));
  *kernel = node.release();
  return nullptr;
}

CustomOp make_operator(const Operator& which, const Kernels* InstructionSet::*kernels) {
  CustomOp op = {};
  op.op = &which;
  op.kernels = kernels;
  op.version = ort::API_VERSION;
  op.GetName = [](Op op) { return custom(op).op->name; };
  op.GetExecutionProviderType = [](Op) -> const char* { return "CPUExecutionProvider"; };
  op.GetInputType = op.GetOutputType = [](Op, size_t) -> int { return ort::FLOAT; };
  op.GetInputTypeCount = [](Op) -> size_t { return 2; };
  op.GetOutputTypeCount = [](Op) -> size_t { return 1; };
  op.GetInputCharacteristic = [](Op, size_t index) -> int {
    return index ? ort::VARIADIC : ort::REQUIRED;
  };
  op.GetOutputCharacteristic = [](Op, size_t) -> int { return ort::REQUIRED; };
  op.GetInputMemoryType = [](Op, size_t) -> int { return ort::MEMORY_DEFAULT; };
  op.GetVariadicInputMinArity = op.GetVariadicOutputMinArity = [](Op op) -> int {
    return static_cast<int>(custom(op).op->tensors);
  };
  op.GetVariadicInputHomogeneity = op.GetVariadicOutputHomogeneity = [](Op) { return 1; };
  op.CreateKernelV2 = create;
  op.KernelComputeV2 = [](void* kernel, ort::Context* context) {
    return static_cast<const Node*>(kernel)->compute(context);
  };
  op.KernelDestroy = [](void* kernel) { delete static_cast<Node*>(kernel); };
  op.GetStartVersion = [](Op) { return 1; };
  op.GetEndVersion = [](Op) { return INT_MAX; };
  return op;
}

const std::array<CustomOp, 2>& custom_operators() {
  static const std::array<CustomOp, 2> all = {
      make_operator(gated_mlp::OPERATOR, &InstructionSet::gated_mlp),
      make_operator(power_mel::OPERATOR, &InstructionSet::power_mel),
  };
  return all;
}

ort::Status* make_domain(ort::Functions* api, ort::Domain** domain) {
  TRY(ort::CreateCustomOpDomain::call(api, "hearaudiomlp.kernels", domain));
  for (const CustomOp& op : custom_operators()) {
    TRY(ort::CustomOpDomain_Add::call(api, *domain, &op));
  }
  return nullptr;
}

}  // namespace

// Which instruction set is used here; null, if the processor has none of them.
EXPORT const char* hearaudiomlp_kernels() { return chosen().name; }

// What ONNX Runtime calls when the library is registered. The domain has to outlive all sessions.
EXPORT ort::Status* ORT_CALL RegisterCustomOps(ort::SessionOptions* options,
                                               const ort::ApiBase* base) {
  ort::Functions* api = base->GetApi(ort::API_VERSION);
  static ort::Domain* domain = nullptr;
  static ort::Status* const problem = make_domain(api, &domain);
  TRY(problem);
  return ort::AddCustomOpDomain::call(api, options, domain);
}

// The kernels without ONNX Runtime, for tests and benchmarks: `tensors` has the pointers of each
// block, one after the other. Returns false if there is no such operator or instruction set here.
EXPORT bool hearaudiomlp_kernels_run(const char* name, const char* isa, const float* const* tensors,
                                     size_t blocks, size_t windows, const float* x, float* y) {
  const InstructionSet set = choose(isa);
  for (const CustomOp& custom : custom_operators()) {
    const Operator& op = *custom.op;
    if (!set.name || std::strcmp(op.name, name)) continue;
    const Kernels& kernels = *(set.*custom.kernels);
    const Floats packed = allocate(blocks * op.packed);
    const Floats memory = allocate(op.workspace + windows * op.for_a_window);
    if (!packed || !memory) return false;
    for (size_t block = 0; block < blocks; ++block) {
      kernels.pack(tensors + block * op.tensors, packed.get() + block * op.packed);
    }
    kernels.run(packed.get(), blocks, windows, x, y, memory.get());
    return true;
  }
  return false;
}
