/** What went wrong; `code` says with what. */
export class HearAudioMLPError extends Error {
  readonly code: "audio" | "option" | "model" | "runtime" | "file" | "microphone" | "cancelled";
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
  /** Levels of the 40 mel bands, `[timestamps.length, 40]`, in half dB above -100: a spectrogram to draw. */
  levels: Uint8Array;
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
  /** Probability from which on a window is taken as one with a word in it. Default: the model's `keywordThreshold`, or 0.75. */
  threshold?: number;
  /** Windows in a row that it takes. Default: 2. */
  hits?: number;
}

export interface EmbedOptions extends WordOptions {
  /** Seconds between keyword windows: 1, 0.5, 0.25 (the default), 0.2 ... */
  hop?: number;
  /** Called about audio that is far too loud. In Node, `process.emitWarning` is, unless this is given. */
  warn?: (message: string) => void;
  /** Called with the share of the work that is done, and waited for. */
  progress?: (share: number) => void | Promise<void>;
  /** Stops the work after the current block of windows; the call is rejected with the signal's reason. */
  signal?: AbortSignal;
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
  /** The label that stands for everything else, in models that were taught with one. */
  readonly otherLabel?: string;
  /** The threshold that the file of one's own words recommends, if it does. */
  readonly keywordThreshold?: number;
  /** What the model file says of itself. */
  readonly metadata: Record<string, string>;
  /**
   * Embed one sound of any length.
   *
   * @param audio mono at 16 kHz in [-1, 1]
   * @throws HearAudioMLPError `audio` or `option`
   */
  embed(audio: Float32Array | Float64Array | number[], options?: EmbedOptions): Promise<Embedding>;
  /**
   * Run the encoder on bare windows of 16,000 samples each, one after the other.
   *
   * @returns frame embeddings `[n, 98, size]`, keyword logits `[n, labels]`, and levels of the 40 mel
   *   bands `[n, 98, 40]` in half dB above -100
   * @throws HearAudioMLPError `audio`, `model` (it was closed) or `runtime`
   */
  encode(windows: Float32Array): Promise<{ frames: Float32Array; logits: Float32Array; levels: Uint8Array }>;
  /** Release its memory. */
  close(): Promise<void>;
}

/**
 * Load a model for many sounds.
 *
 * @param file an ONNX file made by `hearaudiomlp-export`, with either interface, or its bytes
 * @throws HearAudioMLPError `file`, `model`, `runtime` or `option`
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

/** What {@link readAudio} finds in a file. */
export interface Recording {
  /** Mono at 16 kHz. */
  samples: Float32Array;
  /** Samples per second of the file. */
  rate: number;
  /** Channels of the file. */
  channels: number;
  /** Seconds. */
  duration: number;
}

/**
 * Read a WAV file of any rate, number of channels and depth: PCM of 8 to 32 bits, 32 and 64-bit
 * float, A-law, mu-law; RIFF, RIFX and RF64.
 *
 * @throws HearAudioMLPError `file`, for other files too
 */
export function readAudio(file: string | URL | Uint8Array): Promise<Recording>;

/** 16000. */
export const SAMPLE_RATE: number;

/** Resample a whole sound, band-limited, to `round(samples.length * to / from)` samples. */
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
  options?: WordOptions & { ignore?: string },
): Word[];

/**
 * Finds words in audio as it comes: runs a model on the second before each quarter of a second. One
 * that is too slow leaves windows out.
 */
export class Spotter {
  constructor(
    model: HearModel,
    options?: WordOptions,
    listeners?: {
      /** A word that has just become certain. */
      word?: (word: Word) => void;
      /** After each run: the second at which its window begins, what the model gives, and probabilities. */
      window?: (begin: number, result: object, probabilities: Float32Array) => void;
      problem?: (error: HearAudioMLPError) => void;
    },
  );
  /** Seconds of audio so far. */
  readonly seconds: number;
  /** Windows that were left out. */
  readonly late: number;
  /** Take the next samples at 16 kHz, at most a second of them. */
  push(samples: Float32Array): void;
  /** Resolves when no window waits: for audio that comes faster than it is spoken. */
  idle(): Promise<void>;
  /** Forget the windows that wait; resolves when the one that is computed has ended. */
  stop(): Promise<void>;
}

/** Finds words in windows that come one by one. */
export class WordFinder {
  /** @param options `ignore`: a label that stands for everything else, and is no word */
  constructor(labels: string[], options?: WordOptions & { ignore?: string });
  /** @returns an utterance that has just become certain; it still grows with later windows */
  push(start: number, probabilities: ArrayLike<number>): Word | null;
}
