/** What went wrong; `code` says with what. */
export class HearAudioMLPError extends Error {
  readonly code: "audio" | "model" | "runtime" | "file" | "microphone";
  constructor(code: HearAudioMLPError["code"], message: string, options?: ErrorOptions);
}

/** A word found in a sound, from the beginning of its first window to the end of its last one. */
export interface Word {
  word: string;
  /** Seconds. */
  start: number;
  /** Seconds. */
  end: number;
  /** Of its most certain window. */
  probability: number;
}

/** Rows lie one after the other in the arrays. */
export interface Embedding {
  /** `[timestamps.length, timestampEmbeddingSize]`. */
  embeddings: Float32Array;
  /** Milliseconds: 10, 20, 30 ... */
  timestamps: Float32Array;
  /** `[sceneEmbeddingSize]`. */
  scene: Float32Array;
  /** `[logitTimes.length, labels.length]`; empty for models without keywords. */
  logits: Float32Array;
  /**
   * Seconds at which the one-second windows of `logits` begin: each `hop`, from half a second
   * before the sound to half a second before its end.
   */
  logitTimes: Float32Array;
  /** The words, in the order in which they became certain. */
  keywords: Word[];
}

export interface WordOptions {
  /** Probability from which on a window is taken as one with a word in it. Default: 0.75. */
  threshold?: number;
  /** Windows in a row that it takes. Default: 2. */
  hits?: number;
}

export interface EmbedOptions extends WordOptions {
  /** Seconds between keyword windows: 1, 0.5, 0.25 (the default), 0.2 ... */
  hop?: number;
  /** Told of audio that is far too loud. In Node, `process.emitWarning` is, unless this is given. */
  warn?: (message: string) => void;
  /** Told what share of the work is done. */
  progress?: (share: number) => void;
}

export type Runtime = "onnxruntime-node" | "onnxruntime-web";

export interface LoadOptions {
  /** Which build of ONNX Runtime to use. Default: onnxruntime-node, or the other if it isn't there. */
  runtime?: Runtime;
  /** Threads of one run. Default: 1. */
  threads?: number;
}

/** A loaded model. Make one with {@link loadModel}. */
export class HearModel {
  private constructor();
  /** `kwmlp` or `audiomae`. */
  readonly name: string;
  /** 16000. */
  readonly sampleRate: number;
  /** 64 or 8. */
  readonly timestampEmbeddingSize: number;
  /** 1024 or 1584. */
  readonly sceneEmbeddingSize: number;
  /** Keywords in the order of the logits; none for audiomae. */
  readonly labels: string[];
  /** What the model file says of itself. */
  readonly metadata: Record<string, string>;
  /**
   * Embed one sound of any length.
   *
   * @param audio mono at 16 kHz in [-1, 1]
   * @throws HearAudioMLPError `audio`
   */
  embed(audio: Float32Array | Float64Array | number[], options?: EmbedOptions): Promise<Embedding>;
  /** Release its memory. */
  close(): Promise<void>;
}

/**
 * Load a model for many sounds.
 *
 * @param file an ONNX file made by `hearaudiomlp-export --interface pipeline`, or its bytes
 * @throws HearAudioMLPError `file`, `model` or `runtime`
 */
export function loadModel(file: string | URL | Uint8Array, options?: LoadOptions): Promise<HearModel>;

/**
 * Embed one sound. A file is loaded for this one call; give a loaded model for many sounds.
 *
 * @param audio mono at 16 kHz in [-1, 1]
 */
export function embed(
  audio: Float32Array | Float64Array | number[],
  options: EmbedOptions & LoadOptions & { model: HearModel | string | URL | Uint8Array },
): Promise<Embedding>;

/** 16000. */
export const SAMPLE_RATE: number;

/** Resample a whole sound, band-limited, to `ceil(samples.length * to / from)` samples. */
export function resample(samples: Float32Array, from: number, to?: number): Float32Array;

/** A resampler for audio that comes in pieces; however it is cut, the output is the same. */
export class Resampler {
  constructor(from: number, to?: number);
  process(samples: Float32Array): Float32Array;
  flush(): Float32Array;
  reset(): void;
}

/** Probabilities of rows of logits. */
export function softmax(logits: Float32Array, labels: number): Float32Array;

/** Find the words in all windows of a sound. */
export function findWords(
  logits: Float32Array,
  times: Float32Array,
  labels: string[],
  options?: WordOptions,
): Word[];

/** Finds words in windows that come one by one. */
export class WordFinder {
  constructor(labels: string[], options?: WordOptions);
  /** @returns an utterance that has just become certain; it still grows with later windows */
  push(start: number, probabilities: ArrayLike<number>): Word | null;
}
