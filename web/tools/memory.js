/** What the page's process takes. */

import { readdirSync, readFileSync } from "node:fs";

/** A process's parent and its memory in bytes, or null if it has ended; Linux only. */
function look(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)[1]);
    const bytes = 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { parent, bytes, isRenderer: command.includes("--type=renderer") };
  } catch {
    return null;
  }
}

/**
 * Bytes of the largest of Chromium's renderers that this process started: the page and its threads.
 * (Chromium keeps a spare one.)
 */
export function rendererMemory() {
  const all = new Map(readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => [Number(pid), look(pid)]));
  const isOurs = (pid) => pid === process.pid || (pid > 1 && all.get(pid) && isOurs(all.get(pid).parent));
  const sizes = [...all].filter(([pid, seen]) => seen?.isRenderer && isOurs(pid)).map(([, { bytes }]) => bytes);
  return Math.max(0, ...sizes);
}
