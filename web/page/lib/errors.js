/** Every error that this package raises on purpose. `code` says which kind. */
export class HearAudioMLPError extends Error {
  /**
   * @param {"audio" | "option" | "model" | "runtime" | "file" | "microphone"} code what the error is about
   * @param {string} message what happened and what to do
   * @param {ErrorOptions} [options] `cause`
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = "HearAudioMLPError";
    this.code = code;
  }
}
