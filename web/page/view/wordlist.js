/** Words that the list keeps: a page that listens for a day shows the last ones. */
const MOST = 500;

function item({ word, start, end, probability }) {
  const element = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = word;
  const note = document.createElement("span");
  note.textContent = ` ${Math.max(0, (start + end) / 2).toFixed(1)} s`;
  const certainty = document.createElement("span");
  certainty.className = "certainty";
  certainty.textContent = `, ${Math.round(100 * probability)} %`;
  element.dataset.word = word;
  element.append(name, note, certainty);
  return element;
}

/** The words found, as a list that screen readers follow. */
export class WordList {
  #list;
  #scroller;

  /**
   * @param {HTMLOListElement} list
   * @param {HTMLElement} scroller what scrolls if the list is long
   */
  constructor(list, scroller) {
    this.#list = list;
    this.#scroller = scroller;
  }

  clear() {
    this.#list.replaceChildren();
  }

  /** @param {{word: string, start: number, end: number, probability: number}[]} words all that there are */
  show(words) {
    this.#list.replaceChildren(...words.slice(-MOST).map(item));
  }

  /** @param {{word: string, start: number, end: number, probability: number}} word the next one */
  add(word) {
    this.#list.append(item(word));
    if (this.#list.childElementCount > MOST) this.#list.firstElementChild.remove();
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Say that there is no word in the sound. */
  none() {
    const element = document.createElement("li");
    element.textContent = "none of the words that this model knows";
    this.#list.append(element);
  }
}
