/** One thing at a time: what a person asked for last is done, and what they asked for before is stopped. */

import { $, complain, describe, say } from "./ui.js";

/** Whether `problem` only says that a task was stopped. */
const isStop = (problem) => problem.code === "cancelled" || problem.name === "AbortError";

let current = null;
let listener = () => {};

/** Call `render` whenever a task has begun or ended, and when one says that something changed. */
export function onChange(render) {
  listener = render;
}

/** Say that something changed that buttons depend on. */
export function changed() {
  listener();
}

/** Whether a task is under way. */
export const isBusy = () => current !== null;

/**
 * Run a task. It has to check its signal after each wait, and to change what the page shows only at
 * its end: until then, what was there is kept, and kept if the task fails.
 *
 * @param {(tools: {signal: AbortSignal, progress: (share: number) => void}) => Promise<void>} task
 * @returns {Promise<boolean>} whether it was done
 */
export async function run(task) {
  current?.abort();
  const mine = new AbortController();
  current = mine;
  complain(null);
  changed();
  let done = false;
  const progress = (share) => {
    if (current !== mine) return;
    $("busy").hidden = false;
    if (share === null) $("progress").removeAttribute("value");
    else $("progress").value = share;
  };
  try {
    await task({ signal: mine.signal, progress });
    done = !mine.signal.aborted;
  } catch (problem) {
    if (current === mine && !isStop(problem)) complain(problem);
  }
  if (current === mine) {
    current = null;
    $("busy").hidden = true;
    say(describe());
    changed();
  }
  return done;
}

/** Stop what is being done. */
export function cancel() {
  current?.abort();
}
