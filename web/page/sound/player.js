/** Plays what is shown, from any position, with pauses. */
export class Player {
  #audio = new Audio();
  #listeners;

  /** @param {{at: (seconds: number) => void, changed: () => void}} listeners `changed`: playing or not */
  constructor(listeners) {
    this.#listeners = listeners;
    for (const name of ["play", "pause", "ended"]) this.#audio.addEventListener(name, () => this.#change());
    this.#audio.addEventListener("seeked", () => listeners.at(this.#audio.currentTime));
  }

  get playing() {
    return !this.#audio.paused && !this.#audio.ended;
  }

  /** @param {Blob | null} sound */
  load(sound) {
    this.#audio.pause();
    if (this.#audio.src) URL.revokeObjectURL(this.#audio.src);
    this.#audio.removeAttribute("src");
    if (sound !== null) this.#audio.src = URL.createObjectURL(sound);
  }

  seek(seconds) {
    this.#audio.currentTime = seconds;
  }

  async toggle() {
    if (this.playing) this.#audio.pause();
    else await this.#audio.play();
  }

  #change() {
    this.#listeners.changed();
    const follow = () => {
      this.#listeners.at(this.#audio.currentTime);
      if (this.playing) requestAnimationFrame(follow);
    };
    follow();
  }
}
