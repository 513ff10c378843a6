import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { defaultKit, type GuestKit, listKits } from "../kit/guests/guest-kits";
import { runGuest } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";

/**
 * Has the same calls seen by JavaScript at their beginning and end, and recorded natively, and prints both: of the library of the
 * program, of the C library from outside of it, of the kernel, and with descriptions that take numbers for addresses of texts and bytes.
 */
const TWICE = `
  import { CallbackManager, hookFunction, type FunctionDescription } from "rebox";
  const TYPES: Record<string, FunctionDescription> = {
    called_add: { parameters: ["int", "int"], returns: "int" },
    called_sum: { parameters: ["long", "long", "long", "long", "long", "long", "long", "short"], returns: "long" },
    called_scale: { parameters: ["int", "double", "float"], returns: "double" },
    called_text: { parameters: ["text"], returns: "text" },
    called_fill: { parameters: [{ bytes: "result" }, "size", "char"], returns: "size" },
    called_depth: { parameters: ["uint"], returns: "uint" },
    called_tail: { parameters: ["int"], returns: "int" },
    called_jump: { parameters: ["pointer", "int"], returns: "void" },
    called_outer: { parameters: ["pointer", "int"], returns: "int" },
    called_end_thread: { parameters: ["long"], returns: "void" },
    called_exit: { parameters: ["int"], returns: "void" },
    called_exec: { parameters: ["text"], returns: "void" },
  };
  const HOSTILE: FunctionDescription = { parameters: ["text", { bytes: 3 }, "text", "ssize", { bytes: 1 }], returns: "text" };
  const LIBC: Record<string, FunctionDescription> = {
    printf: { parameters: ["text"], returns: "int" },
    dlsym: { parameters: ["pointer", "text"], returns: "pointer" },
    memset: { parameters: [{ bytes: 2 }, "int", "size"], returns: "pointer", filled: [0] },
  };
  const KERNEL: FunctionDescription = { parameters: ["int", "text"], returns: "long" };
  const show = (value: unknown): string =>
    value instanceof Uint8Array ? "bytes " + [...value.subarray(0, 64)].join(" ") : typeof value + " " + String(value);
  export function initialize_callbacks(_handle: number, print: (text: string) => void): void {
    const say = (how: string, what: string, call: any, args: readonly unknown[]) => {
      const { tid, pid, pgd, module, name, address, returnAddress, stackPointer, depth, abandoned, caller } = call;
      const facts = { what, tid, pid, pgd, module, name, address, returnAddress, stackPointer, depth, abandoned };
      const from = caller && [caller.module, caller.name, caller.offset].join();
      const all = { ...facts, caller: from, args: args.map(show), raw: call.rawArgs.map(String), result: show(call.result) };
      print(how + " " + JSON.stringify(all, (_key, value) => (typeof value === "bigint" ? "0x" + value.toString(16) : value)));
    };
    const twice = (what: string, module: string, name: string, options: object, filled: readonly string[] = []) => {
      const seen = hookFunction(module, name, {
        onEnter: (call) => { call.data = call.args; },
        onLeave: (call) => {
          const isFilled = filled.includes(call.name) && call.abandoned === undefined;
          say("seen", what, call, (call.data as unknown[]).map((value, at) => (isFilled && at === 0 ? call.args[0] : value)));
        },
      }, options);
      const recorded = hookFunction(module, name, {
        onCalls: (calls) => calls.forEach((call) => {
          if (!(call.durationMs >= 0 && call.durationMs < 60_000)) print("wrong " + call.durationMs);
          say("recorded", what, call, call.args);
        }),
      }, options);
      return () => {
        recorded.remove();
        print("count " + [what, seen.calls, recorded.calls].join(" "));
        seen.remove();
      };
    };
    const ends = [
      twice("library", "libcalled.so.1", "called_*", { describe: (name: string) => TYPES[name] }, ["called_fill"]),
      twice("hostile", "libcalled.so.1", "called_sum", HOSTILE),
      twice("libc", "libc.so.6", "*", { describe: (name: string) => LIBC[name], fromOutside: true }, ["memset"]),
      twice("kernel", "kernel", "do_sys_openat2", KERNEL),
    ];
    end = () => ends.forEach((one) => one());
  }
  let end = (): void => undefined;
  export const clean = (): void => end();
`;

function useProfile({ profile }: GuestKit, folder: string): string[] {
  if (profile === undefined) return [];
  writeFileSync(join(folder, "pyrebox.conf"), `[VOL]\nprofile: ${profile}\n`);
  return ["-c", join(folder, "pyrebox.conf")];
}

interface Call {
  readonly what: string;
  readonly tid: number;
  readonly name: string;
  readonly abandoned?: string;
  readonly args: readonly string[];
  readonly caller?: string;
}

const KITS: readonly GuestKit[] = [defaultKit(), ...listKits().filter(({ architecture }) => architecture === "i386")];

for (const kit of KITS) {
  test(`calls that are recorded natively are, one for one, what JavaScript sees of them (${kit.release})`, async () => {
    const run = await inFolder((folder) =>
      runGuest({ task: "hooked", kit, script: () => TWICE, timeoutMs: 180_000, reboxArgs: useProfile(kit, folder) }),
    );
    assert.equal(run.stderr, "");
    const read = (how: string): Call[] =>
      run.messages
        .filter((line) => line.startsWith(`${how} `))
        .map((line) => JSON.parse(line.slice(how.length + 1)) as Call);
    const [seen, recorded] = [read("seen"), read("recorded")];
    assert.deepEqual(
      run.messages.filter((line) => line.startsWith("wrong")),
      [],
    );
    // A call that is open at the end is nowhere.
    for (const what of ["library", "hostile", "libc", "kernel"]) {
      const of = (calls: readonly Call[]) => calls.filter((call) => call.what === what);
      assert.ok(of(seen).length > 0, what);
      assert.deepEqual(of(recorded), of(seen));
      const [, first, second] = /^count \w+ (\d+) (\d+)$/.exec(
        run.messages.find((line) => line.startsWith(`count ${what} `))!,
      )!;
      assert.equal(first, second);
    }
    const ends = (name: string) =>
      recorded.filter((call) => call.name === name).map(({ abandoned }) => abandoned ?? "returned");
    assert.deepEqual(ends("called_jump"), ["jumped over", "jumped over", "jumped over"]);
    assert.deepEqual(ends("called_end_thread"), ["thread ended"]);
    assert.deepEqual(ends("called_exec"), ["program replaced"]);
    assert.deepEqual(ends("called_tail"), ["returned"]);
    const text = recorded.find(({ name }) => name === "called_text")!;
    assert.deepEqual(text.args, ["string good night"]);
    assert.match(text.caller ?? "", /^caller,main,\d+$/);
    assert.deepEqual(recorded.find(({ name }) => name === "called_fill")!.args[0], `bytes ${Array.from({ length: 8 }, () => 120).join(" ")}`); // prettier-ignore
    // Numbers are no addresses of anything.
    const hostile = recorded.find(({ what }) => what === "hostile")!;
    assert.equal(hostile.args[0], "undefined undefined");
  });
}
