/** Debian's Chromium, driven by playwright-core, with nothing of it left behind. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

export const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Whether there is a browser to test with. */
export const hasBrowser = existsSync(EXECUTABLE);

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Start Chromium with a fresh profile.
 *
 * @param {{microphone?: string, loop?: boolean, args?: string[]}} [settings] a WAV file that the fake
 *   microphone plays, once or over and over; further flags; the rest goes to the browser context
 *   (viewport, colorScheme ...)
 */
export async function launch({ microphone, loop = false, args = [], ...context } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-chromium-"));
  const fake = microphone
    ? [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        `--use-file-for-fake-audio-capture=${microphone}${loop ? "" : "%noloop"}`,
      ]
    : [];
  const browser = await chromium.launchPersistentContext(folder, {
    executablePath: EXECUTABLE,
    headless: true,
    args: [...QUIET, ...fake, ...args],
    ...context,
  });
  const close = async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { browser, close };
}
