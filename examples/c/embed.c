/* embed: read a WAV file, print its HEAR embeddings.
 *
 *     embed MODEL.onnx SOUND.wav             print embeddings (and keywords) as text
 *     embed MODEL.onnx SOUND.wav OUT.f32     write all outputs, each as a line "name dim dim ..."
 *                                            and its float32 values as they lie in memory
 *     embed --version                        print the version of ONNX Runtime
 *
 * MODEL.onnx is a file that `hearaudiomlp-export --interface pipeline` wrote; it does everything from
 * padding to pooling, so this program only reads the WAV (16 kHz; 16-bit PCM or 32-bit float; each
 * channel is taken as a sound of its own). Needs a little-endian machine and ONNX Runtime's C API.
 */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

enum { RATE = 16000, MAX_OUTPUTS = 8, MAX_DIMS = 4, MAX_LABELS = 1024 };

static const OrtApi *ort;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "embed: %s: %s\n", what, why);
  exit(1);
}

static void check(OrtStatus *status, const char *what) {
  if (status != NULL) fail(what, ort->GetErrorMessage(status));
}

/* ---- WAV ---- */

typedef struct {
  int64_t n_sounds, n_samples;
  float *samples; /* [n_sounds][n_samples] */
} Sounds;

static uint32_t number(const unsigned char *bytes, int size) {
  uint32_t value = 0;
  while (size-- > 0) value = value << 8 | bytes[size];
  return value;
}

static unsigned char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path, "can't be opened");
  size_t room = 1 << 16, filled = 0, got;
  unsigned char *data = malloc(room);
  while (data != NULL && (got = fread(data + filled, 1, room - filled, file)) > 0) {
    filled += got;
    if (filled == room) data = realloc(data, room *= 2);
  }
  if (data == NULL) fail(path, "doesn't fit into memory");
  if (ferror(file)) fail(path, "can't be read");
  fclose(file);
  *size = filled;
  return data;
}

static Sounds read_wav(const char *path) {
  size_t size;
  unsigned char *data = read_file(path, &size);
  if (size < 12 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WAVE", 4) != 0)
    fail(path, "is no WAV file");
  unsigned kind = 0, channels = 0, rate = 0, bits = 0, step = 0;
  for (size_t at = 12; size - at >= 8;) {
    const unsigned char *body = data + at + 8;
    size_t length = number(data + at + 4, 4), rest = size - at - 8;
    int is_data = memcmp(data + at, "data", 4) == 0;
    if (is_data && length >= 0x7FFFF000) length = rest; /* written to a pipe: of unknown length */
    if (length > rest) fail(path, "was cut off: its header promises more than there is");
    if (memcmp(data + at, "fmt ", 4) == 0 && length >= 16) {
      kind = number(body, 2), channels = number(body + 2, 2);
      rate = number(body + 4, 4), step = number(body + 12, 2), bits = number(body + 14, 2);
      if (kind == 0xFFFE && length >= 26) kind = number(body + 24, 2); /* "extensible" */
    } else if (is_data) {
      if (rate != RATE) fail(path, "has to have 16000 samples per second");
      if (!(kind == 1 && bits == 16) && !(kind == 3 && bits == 32))
        fail(path, "has to be 16-bit PCM or 32-bit float");
      if (channels == 0) fail(path, "has no channels");
      if (step != channels * (bits / 8)) fail(path, "has an impossible format");
      Sounds sounds = {channels, (int64_t)(length / (bits / 8) / channels), NULL};
      sounds.samples = malloc(sizeof(float) * (size_t)(channels * sounds.n_samples + 1));
      if (sounds.samples == NULL) fail(path, "doesn't fit into memory");
      for (int64_t i = 0; i < sounds.n_samples; i++)
        for (int64_t channel = 0; channel < channels; channel++) {
          const unsigned char *from = body + (size_t)(i * channels + channel) * (bits / 8);
          float *to = &sounds.samples[channel * sounds.n_samples + i];
          uint32_t raw = number(from, (int)bits / 8);
          if (bits == 16)
            *to = (float)(int16_t)raw / 32768.0f;
          else
            memcpy(to, &raw, 4);
          if (!isfinite(*to)) fail(path, "has NaN or infinity in its samples");
        }
      free(data);
      return sounds;
    }
    at += 8 + length + (length & 1);
    if (at > size) break;
  }
  fail(path, "has no samples in it");
  return (Sounds){0};
}

/* ---- outputs ---- */

typedef struct {
  char *name;
  int64_t dims[MAX_DIMS];
  size_t n_dims, count;
  float *values;
} Output;

static Output describe(OrtValue *value, char *name) {
  Output output = {.name = name};
  OrtTensorTypeAndShapeInfo *info;
  check(ort->GetTensorTypeAndShape(value, &info), name);
  check(ort->GetDimensionsCount(info, &output.n_dims), name);
  if (output.n_dims > MAX_DIMS) fail(name, "has more dimensions than expected");
  check(ort->GetDimensions(info, output.dims, output.n_dims), name);
  check(ort->GetTensorShapeElementCount(info, &output.count), name);
  ort->ReleaseTensorTypeAndShapeInfo(info);
  check(ort->GetTensorMutableData(value, (void **)&output.values), name);
  return output;
}

static const Output *find(const Output *outputs, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(outputs[i].name, name) == 0) return &outputs[i];
  return NULL;
}

static void write_raw(const char *path, const Output *outputs, size_t count) {
  FILE *file = fopen(path, "wbx"); /* it may be the sound, or somebody's work */
  if (file == NULL) fail(path, "is there already or can't be written");
  for (size_t i = 0; i < count; i++) {
    fprintf(file, "%s", outputs[i].name);
    for (size_t dim = 0; dim < outputs[i].n_dims; dim++)
      fprintf(file, " %lld", (long long)outputs[i].dims[dim]);
    fputc('\n', file);
    fwrite(outputs[i].values, sizeof(float), outputs[i].count, file);
  }
  /* A full disk may be noticed when the buffer is flushed only. */
  int failed = ferror(file);
  if (fclose(file) != 0 || failed) fail(path, "can't be written; what is in it is incomplete");
}

static void print_row(const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) printf(" %.6g", values[i]);
  putchar('\n');
}

static void print_text(const Output *outputs, size_t count, char **labels, int64_t n_labels) {
  const Output *frames = find(outputs, count, "timestamp_embeddings");
  const Output *times = find(outputs, count, "timestamps");
  const Output *scenes = find(outputs, count, "scene_embeddings");
  const Output *logits = find(outputs, count, "keyword_logits");
  if (frames == NULL || times == NULL || scenes == NULL)
    fail("the model", "has other outputs: export it with --interface pipeline");
  for (int64_t sound = 0; sound < scenes->dims[0]; sound++) {
    printf("sound %lld\nscene", (long long)sound);
    print_row(scenes->values + sound * scenes->dims[1], scenes->dims[1]);
    for (int64_t i = 0; i < times->dims[1]; i++) {
      int64_t row = sound * times->dims[1] + i;
      printf("%.0f ms", times->values[row]);
      print_row(frames->values + row * frames->dims[2], frames->dims[2]);
    }
    for (int64_t second = 0; logits != NULL && second < logits->dims[1]; second++) {
      const float *row = logits->values + (sound * logits->dims[1] + second) * logits->dims[2];
      int64_t best = 0;
      for (int64_t i = 1; i < logits->dims[2]; i++)
        if (row[i] > row[best]) best = i;
      printf("second %lld: %s (logit %.4g)\n", (long long)second,
             best < n_labels ? labels[best] : "?", row[best]);
    }
  }
}

/* The labels are a JSON list of words: what is between quotes, with its escapes. */
static int64_t split_labels(char *json, char **labels) {
  int64_t count = 0;
  for (char *at = strchr(json, '"'); at != NULL && count < MAX_LABELS; at = strchr(at + 1, '"')) {
    labels[count++] = ++at;
    while (*at != '"' && *at != '\0') at += *at == '\\' && at[1] != '\0' ? 2 : 1;
    if (*at == '\0') break;
    *at = '\0';
  }
  return count;
}

static void finish_printing(void) {
  if (fflush(stdout) != 0 || ferror(stdout)) fail("standard output", "can't be written");
}

int main(int argc, char **argv) {
  ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (ort == NULL) fail("ONNX Runtime", "its library is older than the header of this program");
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    printf("onnxruntime %s\n", OrtGetApiBase()->GetVersionString());
    finish_printing();
    return 0;
  }
  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: embed MODEL.onnx SOUND.wav [OUT.f32]\n");
    return 2;
  }
  Sounds sounds = read_wav(argv[2]);

  OrtEnv *env;
  OrtSessionOptions *options;
  OrtSession *session;
  OrtAllocator *allocator;
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "embed", &env), "ONNX Runtime");
  check(ort->DisableTelemetryEvents(env), "ONNX Runtime");
  check(ort->CreateSessionOptions(&options), "ONNX Runtime");
  size_t size;
  unsigned char *model = read_file(argv[1], &size);
  check(ort->CreateSessionFromArray(env, model, size, options, &session), argv[1]);
  free(model);
  check(ort->GetAllocatorWithDefaultOptions(&allocator), "ONNX Runtime");

  OrtMemoryInfo *memory;
  OrtValue *input = NULL, *results[MAX_OUTPUTS] = {NULL};
  int64_t shape[2] = {sounds.n_sounds, sounds.n_samples};
  size_t bytes = sizeof(float) * (size_t)(shape[0] * shape[1]);
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), "ONNX Runtime");
  check(ort->CreateTensorWithDataAsOrtValue(memory, sounds.samples, bytes, shape, 2,
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input),
        argv[2]);

  size_t count;
  char *names[MAX_OUTPUTS], *input_name;
  check(ort->SessionGetInputName(session, 0, allocator, &input_name), argv[1]);
  if (strcmp(input_name, "audio") != 0)
    fail(argv[1], "doesn't take whole sounds: export it with --interface pipeline");
  check(ort->AllocatorFree(allocator, input_name), argv[1]);
  check(ort->SessionGetOutputCount(session, &count), argv[1]);
  if (count > MAX_OUTPUTS) fail(argv[1], "has more outputs than a model of this kind");
  for (size_t i = 0; i < count; i++)
    check(ort->SessionGetOutputName(session, i, allocator, &names[i]), argv[1]);
  const char *const input_names[] = {"audio"};
  check(ort->Run(session, NULL, input_names, (const OrtValue *const *)&input, 1,
                 (const char *const *)names, count, results),
        argv[1]);

  Output outputs[MAX_OUTPUTS];
  for (size_t i = 0; i < count; i++) outputs[i] = describe(results[i], names[i]);
  if (argc == 4) {
    write_raw(argv[3], outputs, count);
  } else {
    OrtModelMetadata *metadata;
    char *json = NULL, *labels[MAX_LABELS];
    check(ort->SessionGetModelMetadata(session, &metadata), argv[1]);
    check(ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "keyword_labels", &json),
          argv[1]);
    print_text(outputs, count, labels, json == NULL ? 0 : split_labels(json, labels));
    if (json != NULL) check(ort->AllocatorFree(allocator, json), argv[1]);
    ort->ReleaseModelMetadata(metadata);
    finish_printing();
  }

  for (size_t i = 0; i < count; i++) {
    check(ort->AllocatorFree(allocator, names[i]), argv[1]);
    ort->ReleaseValue(results[i]);
  }
  ort->ReleaseValue(input);
  ort->ReleaseMemoryInfo(memory);
  ort->ReleaseSession(session);
  ort->ReleaseSessionOptions(options);
  ort->ReleaseEnv(env);
  free(sounds.samples);
  return 0;
}
