import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { loadSignatures } from "../../src/lab/verdict/signature-catalog";
import { defineSignature, type SeenAct, type Signature } from "../../src/lab/verdict/signature";
import { createDoors } from "../../src/scripts/loading/doors";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { inFolder } from "../kit/in-folder";
import { windowsAct, WINDOWS_EXAMPLES } from "../kit/lab/windows-signature-examples";

const DOORS = createDoors({ "rebox/lab": { defineSignature } });

function fires(signature: Signature, acts: readonly SeenAct[]): boolean {
  const watch = signature.watch();
  return acts.map((one) => watch(one)).some((answer) => answer === true || typeof answer === "string");
}

describe("signatures about Windows", () => {
  const signatures = new Map<string, Signature>();
  before(async () => {
    await inFolder(async (lab) => {
      const loaded = await loadSignatures(lab, DOORS);
      assert.deepEqual(loaded.refused, []);
      for (const signature of loaded.signatures) signatures.set(signature.name, signature);
    });
  });
  after(stopCompiler);

  for (const [name, { fires: firing, quiet }] of Object.entries(WINDOWS_EXAMPLES)) {
    test(`${name} fires, and not at what is only alike`, () => {
      const signature = signatures.get(name)!;
      for (const acts of firing) assert.ok(fires(signature, acts), JSON.stringify(acts[0]));
      for (const acts of quiet) assert.ok(!fires(signature, acts), JSON.stringify(acts[0]));
    });
  }

  test("are alone at it: those about Linux do not fire at what the program of a system made for its child", () => {
    const child = windowsAct("process.created", { pid: 8, ppid: 100, name: "child.exe" });
    const written = windowsAct("process.injected", { way: "NtWriteVirtualMemory", target: 8, targetName: "child.exe" });
    const stopped = windowsAct("kernel.module", { way: "NtUnloadDriver", key: "x" });
    const fired = [...signatures.values()].filter((signature) => fires(signature, [child, written, stopped]));
    assert.deepEqual(fired.map(({ name }) => name), []); // prettier-ignore
  });
});
