// Compiled, never run: index.d.ts allows what it should and nothing else.
import { embed, type Embedding, HearModel, loadModel, resample, WordFinder } from "hearaudiomlp";

const model: HearModel = await loadModel("model.onnx", { runtime: "onnxruntime-web", threads: 2 });
const result: Embedding = await embed(new Float32Array(16_000), { model, hop: 0.5, threshold: 0.9 });
const scene: Float32Array = result.scene;
const word: string | undefined = result.keywords[0]?.word;
const late: number | undefined = new WordFinder(model.labels).push(0, result.logits)?.end;
await embed(resample(scene, 48_000), { model: new URL("file:///model.onnx"), runtime: "onnxruntime-node" });
await model.close();

// @ts-expect-error a model is needed
await embed(scene, {});
// @ts-expect-error no such runtime
await loadModel("model.onnx", { runtime: "tensorflow" });
// @ts-expect-error models are loaded, not constructed
new HearModel();

export { late, word };
