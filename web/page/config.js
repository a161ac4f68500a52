/** What this copy of the page offers. All addresses are relative to the page. */

/** Models to choose from; the first one is loaded with the page, the others by `?model=name` too. */
export const MODELS = [
  { name: "kwmlp", url: "models/kwmlp-pipeline-float16.onnx", title: "KW-MLP: 35 keywords, 64 values every 10 ms" },
  { name: "audiomae", url: "models/audiomae-pipeline-float16.onnx", title: "AudioMAE: 8 values every 10 ms" },
];

/** Where `npm install` put ONNX Runtime. */
export const RUNTIME = {
  script: "vendor/ort.wasm.bundle.min.mjs",
  wasm: "vendor/ort-wasm-simd-threaded.wasm",
};

/** Where it put what takes large sound files apart. */
export const DEMUXER = "vendor/mediabunny.min.mjs";

/** A sound to try the page with. */
export const SAMPLE = "vendor/sentence.flac";
