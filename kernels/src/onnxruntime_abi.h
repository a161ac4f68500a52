// The part of ONNX Runtime's C API that a custom operator needs.
//
// The API is a table of functions that only grows at its end, and a version that is asked for by
// number, so these places hold for every later release (https://onnxruntime.ai/docs/api/c/). No
// package for C or Python has the official header (600 KB); where it is at hand,
// tests/platforms/test_kernels.py compares these declarations with it.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(_WIN32)
#define ORT_CALL __stdcall
#define EXPORT extern "C" __declspec(dllexport)
#else
#define ORT_CALL
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace ort {

constexpr uint32_t API_VERSION = 20;  // ONNX Runtime 1.20

struct Status;  // null is success
struct SessionOptions;
struct Domain;
struct Info;     // what a kernel is created from
struct Context;  // what a kernel runs in
struct Value;
struct Shape;

enum { FAIL = 1, INVALID_ARGUMENT = 2 };     // OrtErrorCode
enum { FLOAT = 1 };                          // ONNXTensorElementDataType
enum { REQUIRED = 0, VARIADIC = 2 };         // OrtCustomOpInputOutputCharacteristic
enum { MEMORY_DEFAULT = 0 };                 // OrtMemType

using Functions = void* const;  // OrtApi

// The function at a place of the table.
template <int PLACE, class Result, class... Arguments>
struct Function {
  static constexpr int place = PLACE;
  static Result call(Functions* api, Arguments... arguments) {
    return reinterpret_cast<Result(ORT_CALL*)(Arguments...)>(api[PLACE])(arguments...);
  }
};

using CreateStatus = Function<0, Status*, int, const char*>;
using CreateCustomOpDomain = Function<26, Status*, const char*, Domain**>;
using CustomOpDomain_Add = Function<27, Status*, Domain*, const void*>;
using AddCustomOpDomain = Function<28, Status*, SessionOptions*, Domain*>;
using GetTensorMutableData = Function<51, Status*, Value*, void**>;
using GetDimensionsCount = Function<61, Status*, const Shape*, size_t*>;
using GetDimensions = Function<62, Status*, const Shape*, int64_t*, size_t>;
using GetTensorShapeElementCount = Function<64, Status*, const Shape*, size_t*>;
using GetTensorTypeAndShape = Function<65, Status*, const Value*, Shape**>;
using KernelContext_GetInput = Function<90, Status*, const Context*, size_t, const Value**>;
using KernelContext_GetOutput =
    Function<91, Status*, Context*, size_t, const int64_t*, size_t, Value**>;
using ReleaseTensorTypeAndShapeInfo = Function<99, void, Shape*>;
using KernelInfo_GetInputCount = Function<230, Status*, const Info*, size_t*>;
using KernelInfoGetConstantInput_tensor =
    Function<249, Status*, const Info*, size_t, int*, const Value**>;

struct ApiBase {
  Functions*(ORT_CALL* GetApi)(uint32_t version);  // null, if it doesn't have that version
  const char*(ORT_CALL* GetVersionString)();
};

struct CustomOp {
  uint32_t version;
  void*(ORT_CALL* CreateKernel)(const CustomOp*, Functions*, const Info*);  // before V2
  const char*(ORT_CALL* GetName)(const CustomOp*);
  const char*(ORT_CALL* GetExecutionProviderType)(const CustomOp*);
  int(ORT_CALL* GetInputType)(const CustomOp*, size_t);
  size_t(ORT_CALL* GetInputTypeCount)(const CustomOp*);
  int(ORT_CALL* GetOutputType)(const CustomOp*, size_t);
  size_t(ORT_CALL* GetOutputTypeCount)(const CustomOp*);
  void(ORT_CALL* KernelCompute)(void*, Context*);  // before V2
  void(ORT_CALL* KernelDestroy)(void*);
  int(ORT_CALL* GetInputCharacteristic)(const CustomOp*, size_t);
  int(ORT_CALL* GetOutputCharacteristic)(const CustomOp*, size_t);
  int(ORT_CALL* GetInputMemoryType)(const CustomOp*, size_t);
  int(ORT_CALL* GetVariadicInputMinArity)(const CustomOp*);
  int(ORT_CALL* GetVariadicInputHomogeneity)(const CustomOp*);
  int(ORT_CALL* GetVariadicOutputMinArity)(const CustomOp*);
  int(ORT_CALL* GetVariadicOutputHomogeneity)(const CustomOp*);
  Status*(ORT_CALL* CreateKernelV2)(const CustomOp*, Functions*, const Info*, void**);
  Status*(ORT_CALL* KernelComputeV2)(void*, Context*);
  Status*(ORT_CALL* InferOutputShapeFn)(const CustomOp*, void*);
  int(ORT_CALL* GetStartVersion)(const CustomOp*);
  int(ORT_CALL* GetEndVersion)(const CustomOp*);
  size_t(ORT_CALL* GetMayInplace)(int**, int**);
  void(ORT_CALL* ReleaseMayInplace)(int*, int*);
  size_t(ORT_CALL* GetAliasMap)(int**, int**);
  void(ORT_CALL* ReleaseAliasMap)(int*, int*);
};

}  // namespace ort
