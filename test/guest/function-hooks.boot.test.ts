import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { defaultKit, type GuestKit, listKits } from "../kit/guests/guest-kits";
import { type GuestRun, runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";

/** One line that the program or the script has written about a call. */
interface Act {
  readonly what: string;
  readonly tid: string;
  readonly name: string;
  readonly caller: string;
  readonly values: string;
}

/** Reports all calls of the library in the program's own words. */
const REPORTER = `
  import { hookFunction, type FunctionCall } from "rebox";
  const TYPES = {
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
  } as const;
  const show = (value: unknown, type: unknown) =>
    type === "double" || type === "float" ? (value === undefined ? "?" : (value as number).toFixed(6)) : String(value);
  const typesOf = (name: string) => TYPES[name as keyof typeof TYPES];
  export function initialize_callbacks(_handle: number, print: (text: string) => void): void {
    const hook = hookFunction("libcalled.so.1", "called_*", {
      onEnter(call: FunctionCall) {
        const { parameters } = typesOf(call.name);
        const skipped = typeof parameters[0] === "object" || parameters[0] === "pointer" ? 1 : 0;
        const values = call.args.map((value, at) => show(value, parameters[at])).slice(skipped);
        call.data = call.durationMs;
        print(["begin", call.tid, call.name, "0x" + call.returnAddress.toString(16), values.join()].join(" "));
        print(["facts", call.tid, call.name, call.pid, call.depth, call.module].join(" "));
      },
      onLeave(call: FunctionCall) {
        if (!(call.durationMs >= (call.data as number))) print("wrong: the duration");
        const bytes = call.name === "called_fill" ? "/" + String.fromCharCode(...(call.args[0] as Uint8Array)) : "";
        const result = call.abandoned ?? show(call.result, typesOf(call.name).returns);
        const what = call.abandoned === undefined ? "end" : "abandoned";
        print([what, call.tid, call.name, "0x" + call.returnAddress.toString(16), result + bytes].join(" "));
      },
    }, { describe: (name) => typesOf(name) });
    print("pending " + hook.isPending);
  }
  export const clean = (): void => undefined;
`;

function readActs(run: GuestRun): Act[] {
  const lines = run.console.matchAll(/^rebox-act: \d+ (\w+) tid=(\d+) name=(\w+) caller=(\w+) values=(.*?)\r?$/gm);
  return [...lines].map(([, what, tid, name, caller, values]) => ({
    ...{ what: what!, tid: tid!, name: name!, caller: caller!, values: values! },
  }));
}

function readMessages(run: GuestRun): Act[] {
  return run.messages.map((line) => {
    const [, what, tid, name, caller, values] = /^(\S+) (\S+) ?(\S*) ?(\S*) ?(.*)$/.exec(line)!;
    return { what: what!, tid: tid!, name: name!, caller: caller!, values: values! };
  });
}

/** A kernel that does not describe itself needs its profile. */
function useProfile({ profile }: GuestKit, folder: string): string[] {
  if (profile === undefined) return [];
  writeFileSync(join(folder, "pyrebox.conf"), `[VOL]\nprofile: ${profile}\n`);
  return ["-c", join(folder, "pyrebox.conf")];
}

const KITS: readonly GuestKit[] = [defaultKit(), ...listKits().filter(({ architecture }) => architecture === "i386")];

for (const kit of KITS) {
  const is64 = kit.architecture === "amd64";

  test(`each call of a library that is loaded later is seen as the library itself saw it (${kit.release})`, async () => {
    const run = await inFolder((folder) =>
      runGuest({ task: "hooked", kit, script: () => REPORTER, timeoutMs: 120_000, reboxArgs: useProfile(kit, folder) }),
    );
    assert.equal(run.stderr, "");
    assert.equal(run.messages[0], "pending true");
    const truth = readActs(run);
    assert.equal(truth.length, Number(run.truth.get("called.acts")));
    const seen = readMessages(run).slice(1);
    const threads = [...new Set(truth.map(({ tid }) => tid))];
    assert.equal(threads.length, 4);
    for (const tid of threads) {
      const own = truth.filter((act) => act.tid === tid);
      const found = seen.filter((act) => act.tid === tid && act.what !== "facts");
      assert.deepEqual(
        found.filter(({ what }) => what === "begin"),
        own.filter(({ what }) => what === "begin"),
      );
      // called_tail() does not come back itself; the library says nothing of the bytes that it has filled.
      const ends = found.filter(({ what, name }) => what === "end" && name !== "called_tail");
      const results = (acts: readonly Act[]) =>
        acts.filter(({ what }) => what === "end").map(({ name, values }) => `${name} ${values.replace(/\/.*/, "")}`);
      const expected = own.map((act) => (act.name === "called_scale" && !is64 ? { ...act, values: "?" } : act));
      assert.deepEqual(results(ends), results(expected));
    }
    const left = seen.filter(({ what }) => what === "abandoned").map(({ name, values }) => `${name}: ${values}`);
    assert.deepEqual(left.toSorted(), [
      "called_end_thread: thread ended",
      "called_exec: program replaced",
      "called_exit: thread ended",
      ...Array.from({ length: 3 }, () => "called_jump: jumped over"),
      ...Array.from({ length: 3 }, () => "called_outer: jumped over"),
    ]);
    assert.equal(seen.filter(({ name, what }) => name === "called_tail" && what === "end")[0]!.values, "5");
    assert.match(seen.find(({ name, what }) => name === "called_fill" && what === "end")!.values, /^8\/x{8}$/);
    // Every call has ended in one way or another.
    assert.equal(seen.filter(({ what }) => what === "begin").length, seen.filter(({ what }) => /^(end|abandoned)$/.test(what)).length); // prettier-ignore
    const facts = seen.filter(({ what }) => what === "facts");
    const deep = facts.filter(({ name }) => name === "called_depth").slice(0, 4);
    assert.deepEqual(
      deep.map(({ values }) => values),
      [0, 1, 2, 3].map((depth) => `${depth} libcalled.so.1`),
    );
    const pid = run.truth.get("caller.pid");
    assert.ok(facts.filter(({ name }) => name !== "called_exec").every((act) => act.caller === pid));
  });
}

test("a script changes calls in a program that runs already, waits in them, and is told what makes no hook", async () => {
  const run = await runGuest({
    task: "hooked",
    parameters: { waits: 1 },
    timeoutMs: 120_000,
    script: (serial) => `
      ${scriptPrelude(serial)}
      import { CallbackManager, Engine, getRunningProcess, HookError, hookFunction, writeVa } from "rebox";
      let print: (text: string) => void;
      const say = (...words: unknown[]) => print(words.join(" "));
      const refuse = (...args: unknown[]) => {
        try {
          (hookFunction as (...all: unknown[]) => unknown)(...args);
          say("refused: nothing");
        } catch (error) {
          say("refused:", error instanceof HookError, (error as HookError).code, (error as Error).message);
        }
      };
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        print = printer;
        const callbacks = new CallbackManager(handle);
        void untilTruth("caller.waits").then((truth) => {
          const pid = Number(truth.get("caller.pid"));
          const nothing = { onEnter: () => undefined };
          const length = hookFunction("libc.so.6", "strlen", {
            onLeave: (call) => say("strlen", call.args[0], call.result, call.caller!.module),
          }, { process: pid, parameters: ["text"], returns: "size", fromOutside: true });
          const programs = hookFunction("!*.so*", "main", nothing, { process: pid });
          say("programs", programs.places.map(({ module }) => module).join());
          say("places", length.isPending, length.places.length, length.places[0]!.pid === pid, length.places[0]!.module);
          hookFunction("/lib/libcalled.so.1", "called_add", {
            onEnter(call) {
              if (call.args[0] === 20) call.setArgument(1, 5);
            },
            async onLeave(call) {
              const before = call.result as number;
              const beganMs = performance.now();
              await new Promise((resolve) => setTimeout(resolve, 50));
              call.setResult(2 * before);
              say("add", before, call.result, performance.now() - beganMs >= 45, call.depth);
            },
          }, { process: (one) => one.pid === pid, parameters: ["int", "int"], returns: "int" });
          const text = hookFunction("libcalled*", "called_text", { onEnter: (call) => call.returnNow(0n) });
          const depth = hookFunction("libcalled.so.1", "called_depth", {
            onEnter(call) {
              say("deep", call.args[0]);
              depth.remove();
            },
            onLeave: () => say("a removed hook"),
          }, { parameters: ["uint"] });
          hookFunction("libcalled.so.1", "called_exit", {
            onEnter(call) {
              say("counts", text.calls, depth.calls, depth.isPending, depth.places.length);
              let problem = "";
              try {
                call.setResult(1);
              } catch (error) {
                problem = (error as HookError).code;
              }
              say("too early", problem);
            },
          });
          const opened = hookFunction("kernel", "do_sys_openat2", {
            onLeave(call) {
              if (call.pid === pid && call.tid === pid) say("opened", call.args[1], call.result! >= 0n);
            },
          }, { parameters: ["int", "text"], returns: "long" });
          say("kernel", opened.places.map(({ pid, pgd, module, name }) => [pid, pgd, module, name].join()).join(" "));
          refuse("libc.so.6", "mallocc", nothing);
          refuse("libc.so.6", "malloc", {});
          refuse("libc.so.6", "malloc", nothing, { onEnter: 1 });
          refuse("libc.so.6", "malloc", nothing, { parameters: ["dobule"] });
          refuse("libc.so.6", "malloc", nothing, { parameters: ["pointer", { bytes: 2 }] });
          refuse("", "malloc", nothing);
          refuse("libc.so.6", 7, nothing);
          // Not an error: it may come.
          say("waiting", hookFunction("libnothing.so", "nothing", nothing).isPending);
          const go = BigInt(truth.get("caller.go")!);
          const poll = callbacks.addCallback("INSN_BEGIN_CB", (cpuIndex) => {
            writeVa(getRunningProcess(cpuIndex), go, Buffer.from([1, 0, 0, 0]));
            callbacks.rmCallback(poll);
          }, { addr: BigInt(truth.get("caller.poll")!) });
        }).catch((error) => say("failed", error.stack));
      }
      export const clean = (): void => undefined;
    `,
  });
  assert.equal(run.stderr, "");
  const lines = (word: string) => run.messages.filter((line) => line.startsWith(`${word} `) || line.startsWith(`${word}: `)); // prettier-ignore
  assert.deepEqual(lines("failed"), []);
  assert.deepEqual(lines("places"), ["places false 1 true libc.so.6"]);
  assert.deepEqual(lines("programs"), ["programs caller"]);
  assert.deepEqual(lines("kernel"), ["kernel 0,0,kernel,do_sys_openat2"]);
  // The program's own word: the function got 20 and 5, and its result was doubled.
  assert.equal(run.truth.get("caller.add"), "50");
  assert.ok(lines("add").includes("add 25 50 true 0"), lines("add").join("\n"));
  const acts = readActs(run);
  assert.deepEqual(
    acts.filter(({ name }) => name === "called_add").map(({ what, values }) => `${what} ${values}`),
    ["begin 20,5", "end 25", "begin 4,1", "end 5"],
  );
  assert.deepEqual(
    acts.filter(({ name }) => name === "called_text"),
    [],
  );
  assert.ok(lines("strlen").includes("strlen twelve chars 12 caller"), lines("strlen").join("\n"));
  assert.ok(lines("strlen").every((line) => !line.endsWith("libc.so.6")));
  assert.deepEqual(lines("deep"), ["deep 3"]);
  assert.deepEqual(lines("a removed hook"), []);
  assert.deepEqual(lines("counts"), ["counts 2 1 false 0"]);
  assert.deepEqual(lines("too early"), ["too early REBOX_HOOK"]);
  assert.ok(lines("opened").includes("opened /lib/libcalled.so.1 true"), lines("opened").join("\n"));
  assert.deepEqual(lines("waiting"), ["waiting true"]);
  const refused = lines("refused");
  const reasons = [
    /libc\.so\.6 has no function mallocc \(in process \d+\); did you mean malloc\?/,
    /neither onEnter nor onLeave/,
    /"onEnter" is unknown; .*members may be process, fromOutside/,
    /parameters\[0\] is "dobule": did you mean double\?/,
    /parameters\[1\]: bytes is 2: the index .* from 0 to 1/,
    /the module is the name or path/,
    /the function is a name as text/,
  ];
  assert.equal(refused.length, reasons.length);
  refused.forEach((line, index) => {
    assert.match(line, /^refused: true REBOX_HOOK /);
    assert.match(line, reasons[index]!);
  });
});
