/** Text without line breaks, controls and bidirectional overrides; Persian and emoji need the joiners. */
export const printable = (text) =>
  String(text).replace(/(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);

/** Every error that this package raises on purpose. `code` says which kind. */
export class HearAudioMLPError extends Error {
  /**
   * @param {"audio" | "option" | "model" | "runtime" | "file" | "microphone"} code what the error is about
   * @param {string} message what happened and what to do; a file's texts in it are escaped
   * @param {ErrorOptions} [options] `cause`
   */
  constructor(code, message, options) {
    super(printable(message), options);
    this.name = "HearAudioMLPError";
    this.code = code;
  }
}
