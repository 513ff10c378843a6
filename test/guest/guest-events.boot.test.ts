import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkMessages, GUEST_EVENTS_PRELUDE, runWithoutGuest } from "../kit/systems/guest-events-run";
import { runGuest } from "../kit/guests/guest-run";

const folder = mkdtempSync(join(tmpdir(), "rebox-guest-events-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("callbacks of processes and modules get what was raised, each only its own type", async () => {
  const run = await runWithoutGuest(`
    const types = ["CREATEPROC_CB", "REMOVEPROC_CB", "LOADMODULE_CB", "REMOVEMODULE_CB"] as const;
    for (const type of types) {
      cm.addCallback(type, (...args: unknown[]) =>
        print(type + " " + args.map((arg) => typeof arg + " " + arg).join(", ")));
    }
    raiseProcessEvent("CREATEPROC_CB", SHELL);
    raiseProcessEvent("REMOVEPROC_CB", { pid: 4194304, pgd: 0xfffffffffffff000n, name: "k\\u00fcche %s\\u0000x" });
    raiseModuleEvent("LOADMODULE_CB", { ...A, base: 0xffffffffc0000000n });
    raiseModuleEvent("REMOVEMODULE_CB", KERNEL);
  `);
  checkMessages(run, [
    "CREATEPROC_CB number 100, bigint 40960, string sh",
    `REMOVEPROC_CB number 4194304, bigint ${0xfffffffffffff000n}, string k\u00fcche %s\u0000x`,
    `LOADMODULE_CB number 100, bigint 40960, bigint ${0xffffffffc0000000n}, number 20480, string a.so, string /lib/a.so`,
    "REMOVEMODULE_CB number 0, bigint 0, bigint 4194304, number 20480, string ext4, string /lib/ext4",
  ]);
});

test("a callback on the modules of one process is never called for another's", async () => {
  const run = await runWithoutGuest(`
    const seen: string[] = [];
    const add = (name: string, pgd?: bigint) =>
      cm.addCallback("LOADMODULE_CB", (pid, of, base, size, module) => void seen.push(name + ":" + module),
        { name, ...(pgd === undefined ? {} : { pgd }) });
    add("of A", 0xa000n);
    add("of B", 0xb000n);
    add("of the kernel", 0n);
    add("second of A", 0xa000n);
    add("any");
    for (const facts of [A, B, KERNEL, module(300, 0xc000n, "c.so")]) raiseModuleEvent("LOADMODULE_CB", facts);
    print(seen.join(" "));
    seen.length = 0;
    cm.rmCallback("of A");
    for (const facts of [B, A]) raiseModuleEvent("LOADMODULE_CB", facts);
    print(seen.join(" "));
  `);
  checkMessages(run, [
    "of A:a.so second of A:a.so any:a.so of B:b.so any:b.so of the kernel:ext4 any:ext4 any:c.so",
    "of B:b.so any:b.so second of A:a.so any:a.so",
  ]);
});

test("a filter chooses processes, each n-th event and so many; other members are refused", async () => {
  const run = await runWithoutGuest(`
    const seen: string[] = [];
    const add = (name: string, filter: object) =>
      cm.addCallback("CREATEPROC_CB", (pid) => void seen.push(name + pid), { filter });
    add("pgd", { pgd: [0xa000n, 0xc000n] });
    add("every", { every: 2 });
    add("hits", { hits: 1 });
    for (const facts of [SHELL, EDITOR, SHELL, EDITOR]) raiseProcessEvent("CREATEPROC_CB", facts);
    print(seen.join(" "));
    for (const [type, options] of [
      ["CREATEPROC_CB", { filter: { address: { from: 0n, to: 1n } } }],
      ["REMOVEPROC_CB", { pgd: 1n }],
      ["LOADMODULE_CB", { addr: 1n }],
      ["LOADMODULE_CB", { pgd: 1 }],
      ["REMOVEMODULE_CB", { replay: true }],
      ["BLOCK_BEGIN_CB", { replay: false }],
    ] as any[]) {
      try { cm.addCallback(type, () => {}, options); } catch (error) { print((error as Error).message); }
    }
    try { cm.addStream("CREATEPROC_CB" as any, () => {}); } catch (error) { print((error as Error).name); }
  `);
  checkMessages(run, [
    "pgd100 hits100 every200 pgd100 every200",
    "CREATEPROC_CB takes no filter.address: it takes pgd, every, hits",
    "REMOVEPROC_CB takes no addr and no pgd",
    "LOADMODULE_CB takes no addr",
    "pgd is a number: addresses are bigint, such as 0xffffffff81000000n",
    "REMOVEMODULE_CB takes no replay: only CREATEPROC_CB and LOADMODULE_CB tell what exists",
    "BLOCK_BEGIN_CB takes no replay: only CREATEPROC_CB and LOADMODULE_CB tell what exists",
    "TypeError",
  ]);
});

test("who knows the guest is told when a type gets its first callback and when it loses its last", async () => {
  const run = await runWithoutGuest(`
    const log: string[] = [];
    const early = cm.addCallback("REMOVEMODULE_CB", () => {});
    setGuestEventSource({
      watch: (type: string, on: boolean) => void log.push((on ? "+" : "-") + type),
      listProcesses: () => [],
      listModules: () => [],
    });
    const first = cm.addCallback("CREATEPROC_CB", () => {});
    const second = cm.addCallback("CREATEPROC_CB", () => {});
    cm.rmCallback(first);
    log.push("one left");
    cm.rmCallback(second);
    cm.addCallback("REMOVEPROC_CB", () => cm.rmCallback("itself"), { name: "itself" });
    raiseProcessEvent("REMOVEPROC_CB", SHELL);
    log.push("raised");
    cm.clean();
    print(log.join(" "));
  `);
  checkMessages(run, [
    "+REMOVEMODULE_CB +CREATEPROC_CB one left -CREATEPROC_CB +REMOVEPROC_CB -REMOVEPROC_CB raised -REMOVEMODULE_CB",
  ]);
});

test("with replay a new callback, and no other, is told what exists; also when the guest becomes known later", async () => {
  const run = await runWithoutGuest(`
    const seen: string[] = [];
    const note = (name: string) => (pid: number, pgd: bigint, ...rest: unknown[]) => void seen.push(name + pid);
    const say = (what: string) => { print(what + ": " + seen.join(" ")); seen.length = 0; };
    cm.addCallback("CREATEPROC_CB", note("early"), { replay: true });
    const gone = cm.addCallback("CREATEPROC_CB", note("gone"), { replay: true });
    cm.rmCallback(gone);
    say("nobody knows");
    const source = {
      watch: () => {},
      listProcesses: () => [SHELL, EDITOR],
      listModules: (pgd?: bigint) => [A, B, KERNEL].filter((facts) => pgd === undefined || facts.pgd === pgd),
    };
    setGuestEventSource(source);
    say("known");
    setGuestEventSource(source);
    say("known again");
    cm.addCallback("CREATEPROC_CB", note("late"));
    cm.addCallback("CREATEPROC_CB", note("one"), { replay: true, filter: { hits: 1 } });
    say("more");
    cm.addCallback("CREATEPROC_CB", () => { seen.push("removed"); cm.rmCallback("short"); },
      { replay: true, name: "short" });
    cm.addCallback("LOADMODULE_CB", note("all"), { replay: true });
    cm.addCallback("LOADMODULE_CB", note("b"), { replay: true, pgd: 0xb000n });
    say("modules");
    setGuestEventSource({ ...source, listProcesses: () => { throw new Error("the list is broken"); } });
    try { cm.addCallback("CREATEPROC_CB", note("broken"), { replay: true, name: "broken" }); } catch (error) {
      print((error as Error).message + " " + cm.callbackExists("broken"));
    }
    raiseProcessEvent("CREATEPROC_CB", { pid: 300, pgd: 1n, name: "x" });
    say("live");
  `);
  checkMessages(run, [
    "nobody knows: ",
    "known: early100 early200",
    "known again: ",
    "more: one100",
    "modules: removed all100 all200 all0 b200",
    "the list is broken false",
    "live: early300 late300",
  ]);
});

test("a trigger is asked before the script and sees every member", async () => {
  const modules = join(folder, "modules.c");
  writeFileSync(
    modules,
    `#include <stdio.h>
    #include <string.h>
    #include "rebox_trigger.h"
    REBOX_TRIGGER_API_VERSION;
    callback_type_t get_type(void) { return LOADMODULE_CB; }
    int trigger(callback_handle_t handle, callback_params_t params) {
      vmi_load_module_params_t p = params.vmi_load_module_params;
      char text[200];
      snprintf(text, sizeof(text), "%d %lx %lx %lx %s %s", (int)p.pid, p.pgd, p.base, p.size, p.name, p.fullname);
      set_var_string(handle, "seen", text);
      return strcmp(p.name, "b.so") == 0;
    }
    void clean(callback_handle_t handle) { erase_trigger_vars(handle); }`,
  );
  const processes = join(folder, "processes.c");
  writeFileSync(
    processes,
    `#include "rebox_trigger.h"
    REBOX_TRIGGER_API_VERSION;
    callback_type_t get_type(void) { return REMOVEPROC_CB; }
    int trigger(callback_handle_t handle, callback_params_t params) {
      vmi_remove_proc_params_t p = params.vmi_remove_proc_params;
      set_var_uint64(handle, "pgd", p.pgd);
      return p.pid == 200 && p.name[0] == 'v';
    }
    void clean(callback_handle_t handle) { erase_trigger_vars(handle); }`,
  );
  const run = await runWithoutGuest(`
    const load = cm.addCallback("LOADMODULE_CB", (pid, pgd, base, size, name) => print("called " + name));
    cm.addTrigger(load, ${JSON.stringify(modules)});
    for (const facts of [A, B]) {
      raiseModuleEvent("LOADMODULE_CB", facts);
      print(String(cm.getTriggerVar(load, "seen")));
    }
    const end = cm.addCallback("REMOVEPROC_CB", (pid) => print("called " + pid));
    cm.addTrigger(end, ${JSON.stringify(processes)});
    for (const facts of [SHELL, EDITOR]) {
      raiseProcessEvent("REMOVEPROC_CB", facts);
      print(String(cm.getTriggerVar(end, "pgd")));
    }
    try { cm.addTrigger(cm.addCallback("REMOVEMODULE_CB", () => {}), ${JSON.stringify(modules)}); } catch (error) {
      print(/it is a trigger for .*/.exec((error as Error).message)![0]);
    }
  `);
  checkMessages(run, [
    "100 a000 400000 5000 a.so /lib/a.so",
    "called b.so",
    "200 b000 400000 5000 b.so /lib/b.so",
    "40960",
    "called 200",
    "45056",
    "it is a trigger for LOADMODULE_CB, and this is a callback of type REMOVEMODULE_CB",
  ]);
});

test("raised in a callback, it is called before that returns, and its promise holds the guest there", async () => {
  const run = await runGuest({
    task: "poweroff",
    script: () => `${GUEST_EVENTS_PRELUDE}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        // The guest's own processes are not told.
        setGuestEventSource({ watch: () => {}, listProcesses: () => [], listModules: () => [] });
        let changes = 0, calls = 0;
        const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
        cm.addCallback("CREATEPROC_CB", async (pid, pgd, name) => {
          calls++;
          if (pid !== 1) return;
          await sleep(0);
          const before = [readCpu(0).RIP, readCpu(0).RSP, changes].join();
          await sleep(100);
          print("held " + (before === [readCpu(0).RIP, readCpu(0).RSP, changes].join()) + " at change " + changes);
        });
        cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => {
          if (name !== "process " + pid) throw new Error("the name is " + name);
          if (pid === 7) throw new Error("on purpose");
        });
        const outer = cm.addCallback("CONTEXTCHANGE_CB", () => {
          if (++changes > 3) return;
          // Many in one callback, so that what one leaves behind meets the next.
          for (let pid = 100; pid < 3100; pid++) {
            raiseProcessEvent("CREATEPROC_CB", { pid, pgd: BigInt(pid), name: "process " + pid });
          }
          if (changes === 2) {
            const before = calls;
            for (const pid of [1, 7]) raiseProcessEvent("CREATEPROC_CB", { pid, pgd: 1n, name: "process " + pid });
            print("called " + (calls - before) + ", " + calls + " in all");
          }
          if (changes === 3) print("goes on, " + calls + " in all");
        });
      }
      export function clean(): void { cm.clean(); }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.cause, "guest-shutdown");
  assert.deepEqual(run.messages, ["called 2, 6002 in all", "held true at change 2", "goes on, 9002 in all"]);
  assert.match(run.stderr, /on purpose/);
  assert.doesNotMatch(run.stderr, /the name is/);
});
