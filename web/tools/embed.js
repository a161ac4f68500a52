/**
 * What the page saves for sound files: `node tools/embed.js FOLDER FILE ... [--model kwmlp] [--models FOLDER]` opens
 * one after the other, puts its .npz into the folder, and says what the page refuses. The folder of models has
 * kwmlp.onnx and audiomae.onnx, whole pipelines; without it, those of page/models/ are used.
 */

import { basename, join } from "node:path";
import { parseArgs } from "node:util";

import { ready, served, visit } from "./visit.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: "string", default: "kwmlp" }, models: { type: "string" } },
});
const [folder, ...files] = positionals;
if (files.length === 0) throw new Error("which files, and where to? node tools/embed.js FOLDER FILE ...");

const { page, leave } = await visit({ served: served(values.models), query: `?model=${values.model}` });
try {
  await ready(page);
  for (const file of files) {
    const name = basename(file);
    await page.setInputFiles("#open", file);
    const ended = (name) => {
      const [status, problem] = ["status", "problem"].map((id) => document.getElementById(id).textContent);
      return problem !== "" || (status.startsWith(`${name}:`) && status.includes("computed in"));
    };
    await page.waitForFunction(ended, name, { timeout: 0 });
    const problem = await page.textContent("#problem");
    if (problem) {
      console.log(problem);
      continue;
    }
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    await saved.saveAs(join(folder, `${name}.npz`));
  }
} finally {
  await leave();
}
