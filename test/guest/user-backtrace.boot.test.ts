import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { defaultKit, type GuestKit, listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";

/** Takes a backtrace at each call of the function that the program calls in between. */
const SCRIPT = `
  import { backtrace, hookFunction } from "rebox";
  export function initialize_callbacks(_handle: number, print: (text: string) => void): void {
    hookFunction("stacks", "stacks_look", {
      onEnter(call) {
        const frames = backtrace(call.cpuIndex).map(({ address, method, name }) =>
          ["0x" + address.toString(16), method.replace(" ", "-"), name?.module ?? "?", name?.name || "?"].join("/"));
        print(call.args[0] + " " + frames.join(" "));
      },
    }, { parameters: ["text"], returns: "void" });
  }
  export const clean = (): void => undefined;
`;

const WAYS = ["plain", "variable", "aligned", "many", "callback", "signal", "other_stack", "thread", "last"];

function useProfile({ profile }: GuestKit, folder: string): string[] {
  if (profile === undefined) return [];
  writeFileSync(join(folder, "pyrebox.conf"), `[VOL]\nprofile: ${profile}\n`);
  return ["-c", join(folder, "pyrebox.conf")];
}

const KITS: readonly GuestKit[] = [defaultKit(), ...listKits().filter(({ architecture }) => architecture === "i386")];

for (const kit of KITS) {
  test(`the callers of a program are those that the compiler's own unwinder finds (${kit.release})`, async () => {
    const run = await inFolder((folder) =>
      runGuest({ task: "stacks", kit, script: () => SCRIPT, timeoutMs: 120_000, reboxArgs: useProfile(kit, folder) }),
    );
    assert.equal(run.stderr, "");
    assert.deepEqual(
      run.messages.map((line) => line.split(" ")[0]),
      WAYS,
    );
    const modules = new Set<string>();
    for (const line of run.messages) {
      const [way, first, own, ...callers] = line.split(" ") as [string, string, string, ...string[]];
      const parts = callers.map((frame) => frame.split("/") as [string, string, string, string]);
      assert.match(first, /\/registers\/stacks\/stacks_look$/);
      assert.match(own, /\/unwind-data\/stacks\/take$/);
      const said = run.truth.get(`stacks.${way}`)!.split(",");
      // The unwinder may say at its end that there is nothing more, by a zero.
      assert.deepEqual(parts.map(([address]) => address), said.filter((address) => address !== "0x0"), line); // prettier-ignore
      assert.ok(parts.every(([, method]) => method === "unwind-data"), line); // prettier-ignore
      for (const [, , module] of parts) modules.add(module);
      const names = parts.map(([, , , name]) => name);
      if (way === "last") assert.deepEqual(names.slice(0, 3), ["last", "before_last", "main"]);
      if (way === "plain") assert.deepEqual(names.slice(0, 5), ["plain", "plain", "plain", "plain", "main"]);
      if (way === "callback") assert.equal(names[0], "compare");
    }
    assert.ok(
      [...modules].some((module) => module.startsWith("libc")),
      [...modules].join(" "),
    );
  });
}

test("the stack of a thread that waits leads from the scheduler through the kernel to what it called, and to its beginning", async () => {
  const run = await runGuest({
    task: "hooked",
    parameters: { waits: 1 },
    timeoutMs: 120_000,
    script: (serial) => `
      ${scriptPrelude(serial)}
      import { backtrace, Engine } from "rebox";
      const attempt = (act: () => unknown) => {
        try {
          act();
          return "nothing";
        } catch (error) {
          return String(error);
        }
      };
      export function initialize_callbacks(_handle: number, print: (text: string) => void): void {
        void untilTruth("caller.waits").then(async (truth) => {
          const pid = Number(truth.get("caller.pid"));
          await Engine.get().pause();
          let frames = backtrace({ pid });
          // It sleeps nearly always; where it runs just now, its stack is that of the vCPU.
          while (frames[0]?.method === "registers" && frames[0].name?.module !== "kernel") {
            await Engine.get().resume();
            await new Promise((resolve) => setTimeout(resolve, 20));
            await Engine.get().pause();
            frames = backtrace({ pid });
          }
          print(frames.map(({ method, name }) => [method.replace(" ", "-"), name?.module, name?.name || "?"].join("/")).join(" "));
          print(String(backtrace({ pid, tid: pid }).length === frames.length));
          print(attempt(() => backtrace({ pid: 99999 })));
          print(attempt(() => backtrace({ pid, tid: 99999 })));
          print(attempt(() => backtrace(77)));
          await Engine.get().quit();
        }).catch((error) => print("failed " + error.stack));
      }
      export const clean = (): void => undefined;
    `,
  });
  assert.equal(run.stderr, "");
  const [frames, isSame, ...refused] = run.messages as [string, string, ...string[]];
  const parts = frames.split(" ").map((frame) => frame.split("/") as [string, string, string]);
  const names = parts.map(([, module, name]) => `${module}!${name}`);
  const entry = names.findIndex((name) => name.startsWith("kernel!entry_SYSCALL"));
  assert.ok(entry > 2, frames);
  // In the kernel by its tables, up to the instruction behind that of the system call; then by those of the C library.
  assert.ok(parts.slice(1, entry + 1).every(([method]) => method === "orc"), frames); // prettier-ignore
  const user = parts.slice(entry + 1);
  assert.ok(user.slice(1).every(([method]) => method === "unwind-data"), frames); // prettier-ignore
  assert.ok(names.some((name) => /nanosleep/.test(name)) && names.includes("libc.so.6!usleep"), frames);
  assert.ok(names.includes("caller!main"), frames);
  assert.equal(names.at(-1), "caller!_start");
  assert.equal(isSame, "true");
  assert.match(refused[0]!, /^RangeError: there is no process 99999/);
  assert.match(refused[1]!, /^RangeError: process \d+ has no thread 99999/);
  assert.match(refused[2]!, /RangeError/);
});
