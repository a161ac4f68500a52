/** The words found, as a list that screen readers follow. */
export class WordList {
  #list;

  /** @param {HTMLOListElement} list */
  constructor(list) {
    this.#list = list;
  }

  clear() {
    this.#list.replaceChildren();
  }

  /** @param {{word: string, start: number, end: number, probability: number}} word */
  add({ word, start, end, probability }) {
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = word;
    const note = document.createElement("span");
    const time = Math.max(0, (start + end) / 2).toFixed(1);
    note.textContent = ` ${time} s`;
    const certainty = document.createElement("span");
    certainty.className = "certainty";
    certainty.textContent = `, ${Math.round(100 * probability)} %`;
    item.dataset.word = word;
    item.append(name, note, certainty);
    this.#list.append(item);
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** Say that there is no word in the sound. */
  none() {
    const item = document.createElement("li");
    item.textContent = "none of the words that this model knows";
    this.#list.append(item);
  }
}
