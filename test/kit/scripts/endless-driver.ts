// Scripts that never return, in a process of its own; prints what becomes of each.
import { setTimeout as sleep } from "node:timers/promises";
import { stopCompiler } from "../../../src/scripts/loading/script-compiler";
import { CLEAN, ScriptFolder } from "./script-folder";

const ENDLESS = [
  "(function next() { Promise.resolve().then(next); })();",
  "(async () => { await 1; for (;;); })();",
  "throw { toString() { for (;;); }, get message() { for (;;); } };",
];

async function main(): Promise<void> {
  const folder = new ScriptFolder("none", { callMs: 1000, promiseMs: 2000, cleanMs: 1000 });
  folder.write("t.ts", "export function initialize_callbacks() { setTimeout(() => { for (;;); }, 1); }", CLEAN);
  await folder.host.load("t");
  while (folder.strays.length === 0) await sleep(20);
  console.log(folder.strays.join());
  for (const body of ENDLESS) {
    folder.write("p.ts", `export function initialize_callbacks() { ${body} }`, CLEAN);
    console.log((await folder.refusal(folder.host.load("p"))).problem);
  }
  console.log((await folder.run('print("another script still works");'))[0]);
  await folder.remove();
  await stopCompiler();
}

void main();
