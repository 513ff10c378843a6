import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { findLivingPath } from "../kit/systems/linux-truth";

const folder = mkdtempSync(join(tmpdir(), "rebox-event-sources-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("watched from power-on, the first program of the guest is told, and hooks are there only while somebody listens", async () => {
  const run = await runGuest({
    task: "forkstorm",
    boots: true,
    parameters: { acts: 100, now: 1 },
    script: (serial) => `
      import { CallbackManager, listCallbacks } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      const hooks = () => listCallbacks().filter(({ moduleHandle }) => moduleHandle === 0).length;
      let afterwards = (): void => {};
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        let count = 0;
        const first = cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => {
          if (++count === 1) print("first: " + pid + " " + name + ", hooks " + (hooks() > 0));
        });
        void untilTruth("forkstorm.pid").then(() => {
          const processHooks = hooks();
          const second = cm.addCallback("LOADMODULE_CB", () => {});
          print("more hooks for modules: " + (hooks() > processHooks));
          cm.rmCallback(second);
          print("less again: " + (hooks() === processHooks));
          cm.rmCallback(first);
          const before = count;
          print("hooks: " + hooks());
          afterwards = () => print("called later: " + (count - before));
        });
      }
      export function clean(): void { afterwards(); cm.clean(); }
    `,
  });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, [
    "first: 1 init, hooks true",
    "more hooks for modules: true",
    "less again: true",
    "hooks: 0",
    "called later: 0",
  ]);
});

test("replay tells every process and every module that exists, as the guest lists them", async () => {
  const run = await runGuest({
    task: "zoo",
    parameters: { kallsyms: 0 },
    reports: true,
    timeoutMs: 120_000,
    script: (serial) => `
      import { CallbackManager, Engine, getModuleList, getProcessList } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("zoo.reported").then((truth) => {
          const pids: string[] = [];
          cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => void pids.push(pid + " " + name), { replay: true });
          print("processes " + pids.join("|"));
          const kernel: string[] = [];
          cm.addCallback("LOADMODULE_CB", (pid, pgd, base, size, name) => void kernel.push(name + " " + size + " 0x" + base.toString(16)),
            { replay: true, pgd: 0n });
          print("kernel " + kernel.slice(1).join("|"));
          const pgd = getProcessList().find(({ pid }) => pid === Number(truth.get("greeter.pid")))!.pgd;
          const user: string[] = [];
          cm.addCallback("LOADMODULE_CB", (pid, of, base, size, name, path) => void user.push(pid + " " + base.toString(16) + " " + path),
            { replay: true, pgd });
          print("user " + user.join("|"));
        }).catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
      }
      export function clean(): void { cm.clean(); }
    `,
  });
  assert.equal(run.stderr, "");
  const [processes, kernel, user] = run.messages.map((line) =>
    line
      .slice(line.indexOf(" ") + 1)
      .split("|")
      .toSorted(),
  );
  const own = run.report
    .list("/proc")
    .map(Number)
    .filter((pid) => (run.report.find(`${findLivingPath(run.report, pid)}/maps`) ?? "") !== "")
    .map(
      (pid) => `${pid} ${/^Name:\t(.*)$/m.exec(run.report.text(`/proc/${pid}/status`))![1]!.replaceAll("\\n", "\n")}`,
    );
  assert.deepEqual(processes, own.toSorted());
  const modules = run.report.lines("/proc/modules").map((line) => {
    const [name, size, , , , base] = line.split(" ");
    return `${name} ${size} ${base!.replace(/^0x0*/, "0x")}`;
  });
  assert.deepEqual(kernel, modules.toSorted());
  const greeter = run.truth.get("greeter.pid")!;
  const maps = run.report
    .lines(`/proc/${greeter}/maps`)
    .map((line) => /^(\w+)-\w+ (\S+) \S+ \S+ \S+ +(.*)$/.exec(line)!);
  const files = new Set(
    maps.filter(([, , rights, path]) => rights!.includes("x") && /^[/]|vdso/.test(path!)).map(([, , , path]) => path!),
  );
  assert.deepEqual(
    user,
    [...files].map((path) => `${greeter} ${maps.find((line) => line[3] === path)![1]} ${path}`).toSorted(),
  );
});

test("a trigger is asked about the guest's own processes", async () => {
  const trigger = join(folder, "odd.c");
  writeFileSync(
    trigger,
    `#include "rebox_trigger.h"
    REBOX_TRIGGER_API_VERSION;
    callback_type_t get_type(void) { return CREATEPROC_CB; }
    int trigger(callback_handle_t handle, callback_params_t params) { return params.vmi_create_proc_params.pid % 2 == 1; }
    void clean(callback_handle_t handle) { erase_trigger_vars(handle); }`,
  );
  const run = await runGuest({
    task: "forkstorm",
    parameters: { acts: 60, now: 1 },
    trust: true,
    script: () => `
      import { CallbackManager } from "rebox";
      let cm: CallbackManager;
      const all: number[] = [], chosen: number[] = [];
      let print: (text: string) => void;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        print = printer;
        cm = new CallbackManager(handle);
        cm.addCallback("CREATEPROC_CB", (pid) => void all.push(pid));
        cm.addTrigger(cm.addCallback("CREATEPROC_CB", (pid) => void chosen.push(pid)), ${JSON.stringify(trigger)});
      }
      export function clean(): void {
        print(String(all.length > 30));
        print(String(all.filter((pid) => pid % 2 === 1).join() === chosen.join()));
        cm.clean();
      }
    `,
  });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, ["true", "true"]);
});

test("a sandboxed script gets the events too", async () => {
  const run = await runGuest({
    task: "forkstorm",
    parameters: { acts: 60, now: 1 },
    trust: false,
    script: () => `
      import { CallbackManager } from "rebox";
      let cm: CallbackManager;
      const alive = new Map<number, bigint>();
      const modules = new Set<string>();
      let print: (text: string) => void, ended = 0, wrong = 0;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        print = printer;
        cm = new CallbackManager(handle);
        cm.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd) => void alive.set(pid, pgd));
        cm.addCallback(CallbackManager.REMOVEPROC_CB, (pid, pgd) => {
          ended++;
          if (alive.get(pid) !== pgd) wrong++;
          alive.delete(pid);
        });
        cm.addCallback(CallbackManager.LOADMODULE_CB, (pid, pgd, base, size, name, fullname) => void modules.add(fullname));
      }
      export function clean(): void {
        print((ended > 30) + " " + wrong + " " + modules.has("/bin/forkstorm"));
        cm.clean();
      }
    `,
  });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, ["true 0 true"]);
});

test("after a reset the events are those of the kernel that is started then", async () => {
  const run = await runGuest({
    task: "forkstorm",
    parameters: { acts: 20 },
    timeoutMs: 120_000,
    script: (serial) => `
      import { CallbackManager, Engine } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        let inits = 0;
        cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => {
          if (pid !== 1) return;
          print("started " + name);
          if (++inits === 2) void Engine.get().quit();
        });
        void untilTruth("forkstorm.waits").then(() => Engine.get().reset());
      }
      export function clean(): void { cm.clean(); }
    `,
    qemuArgs: ["-action", "reboot=reset"],
  });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, ["started init", "started init"]);
});

test("a hook that reads garbage reports nothing, is counted, and the guest and the later events go on", async () => {
  const run = await runGuest({
    task: "forkstorm",
    parameters: { acts: 120 },
    script: (serial) => `
      import { CallbackManager, getRunningProcess, symToVa, writeRegister, writeVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager, print: (text: string) => void;
      const garbage = [0n, 8n, 0xffff800000000000n, 0xdeadbeefdeadbeefn, -1n, -4096n];
      let calls = 0, told = 0, saved = 0n;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        print = printer;
        void untilTruth("forkstorm.waits").then((truth) => {
          const addr = symToVa(0n, "kernel", "wake_up_new_task")!;
          // In front of the hook, and behind it.
          cm.addCallback("BLOCK_BEGIN_CB", (cpuIndex, cpu) => {
            saved = cpu.RDI;
            if (calls++ < garbage.length) writeRegister(cpuIndex, "RDI", garbage[calls - 1]!);
          }, { addr });
          cm.addCallback("CREATEPROC_CB", () => void told++);
          cm.addCallback("BLOCK_BEGIN_CB", (cpuIndex) => writeRegister(cpuIndex, "RDI", saved), { addr });
          const poll = cm.addCallback("INSN_BEGIN_CB", (cpuIndex) => {
            writeVa(getRunningProcess(cpuIndex), BigInt(truth.get("forkstorm.go")!), Buffer.from([1, 0, 0, 0]));
            cm.rmCallback(poll);
          }, { addr: BigInt(truth.get("forkstorm.poll")!) });
        });
      }
      export function clean(): void {
        print((calls > garbage.length) + " " + (told > 20));
        cm.clean();
      }
    `,
  });
  assert.equal(run.truth.get("forkstorm.done"), "1");
  assert.deepEqual(run.messages, ["true true"]);
  assert.equal(run.stderr.match(/callback wake_up_new_task of process and module events failed: /g)?.length, 1);
  assert.match(run.stderr, /wake_up_new_task of process and module events failed 6 times/);
});

test("a callback that does not return is removed, and the others are called for later processes", async () => {
  const run = await runGuest({
    task: "forkstorm",
    parameters: { acts: 100, now: 1 },
    reboxArgs: ["--callback-limit", "300"],
    trust: true,
    script: () => `
      import { CallbackManager } from "rebox";
      let cm: CallbackManager, print: (text: string) => void, endless = 0, later = 0;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        print = printer;
        cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => { if (name === "forkstorm") { endless++; for (;;); } }, { name: "endless" });
        cm.addCallback("CREATEPROC_CB", () => { if (endless > 0) later++; });
      }
      export function clean(): void {
        print(endless + " " + (later > 20) + " " + cm.callbackExists("endless"));
        cm.clean();
      }
    `,
  });
  assert.equal(run.truth.get("forkstorm.done"), "1");
  assert.deepEqual(run.messages, ["1 true false"]);
  assert.match(run.stderr, /endless did not return within 300 ms/);
});
