import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type GuestKit, listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

interface Act {
  readonly what: string;
  readonly values: ReadonlyMap<string, string>;
}

/** Runs a task that waits for a sign from outside, gives it, and returns the acts that it logged. */
async function runActs(task: string, name: string, parameters: Record<string, string | number>, kit: GuestKit) {
  const folder = mkdtempSync(join(tmpdir(), "rebox-acts-"));
  try {
    const copy = join(folder, "serial.txt");
    const run = await runGuest({
      task,
      parameters,
      kit,
      timeoutMs: 120_000,
      script: (serial) => `
        import { CallbackManager, getRunningProcess, writeVa } from "rebox";
        import { copyFileSync } from "node:fs";
        ${scriptPrelude(serial)}
        let cm: CallbackManager;
        export function initialize_callbacks(handle: number): void {
          cm = new CallbackManager(handle);
          void untilTruth("${name}.waits").then((truth) => {
            const go = BigInt(truth.get("${name}.go")!);
            const poll = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
              writeVa(getRunningProcess(cpuIndex), go, Buffer.from([1, 0, 0, 0]));
              cm.rmCallback(poll);
            }, { addr: BigInt(truth.get("${name}.poll")!) });
          });
        }
        export function clean(): void {
          copyFileSync(serialFile, ${JSON.stringify(copy)});
          cm.clean();
        }
      `,
    });
    assert.equal(run.truth.get(`${task}.done`), "1", run.stderr);
    const lines = [...readFileSync(copy, "latin1").matchAll(/^rebox-act: (\d+) (\w+) (.*?)\r?$/gm)];
    const acts = lines.map(([, number, what, values], index): Act => {
      assert.equal(Number(number), index);
      // A name may hold anything, so it comes last.
      const pairs = [...values!.matchAll(/(\w+)=(.*?)(?= \w+=|\s*$)/g)];
      return { what: what!, values: new Map(pairs.map(([, key, value]) => [key!, value!])) };
    });
    return { acts, truth: run.truth };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const KITS = listKits().filter(
  (kit, index) => index === 0 || kit.architecture === "i386" || kit.package.startsWith("linux-binary"),
);

for (const kit of KITS) {
  test(`forkstorm on ${kit.release} logs as many new processes and threads as the kernel counts`, async () => {
    const { acts, truth } = await runActs("forkstorm", "forkstorm", { seed: 5, acts: 120 }, kit);
    const count = (...kinds: string[]): number => acts.filter(({ what }) => kinds.includes(what)).length;
    const started = Number(truth.get("forkstorm.started"));
    assert.equal(count("fork", "vfork", "vforkexec", "thread", "share", "texec"), started);
    assert.equal(Number(truth.get("forkstorm.acts")), acts.length);
    for (const what of ["fork", "exec", "texec", "vfork", "vforkexec", "thread", "share", "rename", "exit"]) {
      assert.ok(count(what) > 0, `no ${what} among ${acts.length} acts`);
    }
    // Each actor that came has gone, and none acted before or after.
    const alive = new Set([truth.get("forkstorm.pid")]);
    for (const { what, values } of acts) {
      assert.ok(alive.has(values.get("pid")), `${what} of ${values.get("pid")}`);
      if (what === "fork" || what === "vforkexec") alive.add(values.get("child"));
      if (what === "exit") alive.delete(values.get("pid"));
    }
    assert.equal(alive.size, 1);
  });
}

test("libraries opens and closes its library as often as it is asked to", async () => {
  const { acts, truth } = await runActs("libraries", "greeter", { times: 7 }, KITS[0]!);
  assert.deepEqual(
    acts.map(({ what }) => what),
    Array.from({ length: 14 }, (_, index) => (index % 2 === 0 ? "dlopen" : "dlclose")),
  );
  for (const { values } of acts) {
    assert.equal(values.get("pid"), truth.get("greeter.pid"));
    assert.equal(values.get("path"), "/lib/libguest.so.1");
    assert.equal(BigInt(values.get("base")!) % 4096n, 0n);
  }
});

test("modules loads kernel modules and unloads them in the opposite order", async () => {
  const { acts } = await runActs("modules", "modules", { times: 2 }, KITS[0]!);
  const names = (kind: string): string[] =>
    acts.filter(({ what }) => what === kind).map(({ values }) => values.get("name")!);
  const half = names("insmod").length / 2;
  assert.ok(half >= 1);
  assert.deepEqual(names("insmod").slice(0, half).toReversed(), names("rmmod").slice(0, half));
  assert.deepEqual(names("insmod").slice(0, half), names("insmod").slice(half));
  for (const { what, values } of acts) if (what === "insmod") assert.match(values.get("base")!, /^0x[0-9a-f]{8,16}$/);
});
