import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkMessages, runWithoutGuest } from "../kit/systems/guest-events-run";
import { watchSequence } from "../kit/guests/sequence-run";

const folder = mkdtempSync(join(tmpdir(), "rebox-accounting-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the time of each callback is about what its function, and its trigger, used", async () => {
  const slow = join(folder, "slow.c");
  writeFileSync(
    slow,
    `#include <time.h>
    #include "rebox_trigger.h"
    REBOX_TRIGGER_API_VERSION;
    static unsigned long now_us(void) {
      struct timespec t;
      clock_gettime(CLOCK_MONOTONIC, &t);
      return t.tv_sec * 1000000ul + t.tv_nsec / 1000;
    }
    callback_type_t get_type(void) { return CREATEPROC_CB; }
    int trigger(callback_handle_t handle, callback_params_t params) {
      static unsigned long used;
      unsigned long begun = now_us();
      while (now_us() - begun < 500) { }
      used += now_us() - begun;
      set_var_uint64(handle, "used", used);
      return params.vmi_create_proc_params.pid % 2;
    }
    void clean(callback_handle_t handle) { erase_trigger_vars(handle); }`,
  );
  const run = await runWithoutGuest(`
    const about = (shown: number, used: number) =>
      shown > used * 0.75 && shown < used * 1.25 ? "about right" : shown + " is not about " + used;
    const of = (name: string) => listCallbacks().find((callback) => callback.name === name)!;
    const raise = (count: number) => {
      for (let pid = 0; pid < count; pid++) raiseProcessEvent("CREATEPROC_CB", { pid, pgd: 1n, name: "" });
    };
    let used = 0, milliseconds = 1;
    cm.addCallback("CREATEPROC_CB", () => {
      const begun = performance.now();
      while (performance.now() - begun < milliseconds) { }
      used += performance.now() - begun;
    }, { name: "slow" });
    cm.addCallback("CREATEPROC_CB", () => {}, { name: "fast" });
    cm.addCallback("CREATEPROC_CB", () => { throw new Error("on purpose"); }, { name: "throws", filter: { every: 10 } });
    const trigger = cm.addCallback("CREATEPROC_CB", () => {}, { name: "trigger" });
    cm.addTrigger(trigger, ${JSON.stringify(slow)});
    Engine.get().on("callbackError", () => {});
    // Few enough for all of them to be measured.
    raise(60);
    print("slow " + of("slow").calls + " " + about(of("slow").jsTimeMs, used) + " " + of("slow").nativeTimeMs);
    print("fast " + of("fast").calls + " " + (of("fast").jsTimeMs > 0 && of("fast").jsTimeMs < used / 10));
    print("throws " + of("throws").calls + " filtered " + of("throws").filtered + " errors " + of("throws").errors);
    print("trigger " + of(trigger).calls + " " +
      about(of(trigger).nativeTimeMs, Number(cm.getTriggerVar(trigger, "used")) / 1000) + " " +
      (of(trigger).jsTimeMs < of(trigger).nativeTimeMs / 10));
    cm.rmCallback(trigger);
    // One in 64 stands for the others. Where it is interrupted, so does the interruption: no close limit above.
    milliseconds = 0.02;
    raise(20000);
    const ratio = of("slow").jsTimeMs / used;
    print("sampled " + (ratio > 0.4 && ratio < 10 ? "about right" : ratio));
  `);
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "slow 60 about right 0",
    "fast 60 true",
    "throws 6 filtered 54 errors 6",
    "trigger 30 about right true",
    "sampled about right",
  ]);
});

test("a filter whose hits are used up is asked no more, and its callback is listed until it is removed", async () => {
  const run = await watchSequence(
    `
      const code = { from: at.begin, to: at.end };
      const add = (name: string, type: any, filter: object, options = {}) =>
        cm.addCallback(type, () => void (globalThis as any).last?.(name), { name, filter, ...options });
      const filtered = (name: string) => listCallbacks().find((callback) => callback.name === name)!.filtered;
      const kept = { calls: 0, twice: 0, others: 0 };
      (globalThis as any).kept = kept;
      cm.addCallback("INSN_BEGIN_CB", () => {
        if (++kept.calls === 2) Object.assign(kept, { twice: filtered("twice"), others: filtered("rest") });
      }, { name: "twice", filter: { pc: { from: at.loop, to: at.loop + 1n }, hits: 2 } });
      add("hooked", "INSN_BEGIN_CB", { hits: 3 }, { addr: at.loop });
      add("opcode", "OPCODE_RANGE_CB", { pc: code, hits: 1 }, { startOpcode: 0x90, endOpcode: 0x90 });
      add("rest", "INSN_BEGIN_CB", { pc: { from: at.loop, to: at.loop + 1n } });
      cm.addCallback("INSN_BEGIN_CB", () => cm.rmCallback("removed"), { name: "removed", filter: { pc: code, hits: 1 } });
      let streamed = 0;
      cm.addStream("INSN_BEGIN_CB", (batch) => void (streamed += batch.length), { name: "stream", filter: { pc: code, hits: 5 } });
      (globalThis as any).streamed = () => streamed;
    `,
    `
      const list = () => listCallbacks().filter(({ name }) => ["twice", "hooked", "opcode", "rest"].includes(name))
        .map(({ name, calls }) => name + " " + calls).sort().join(", ");
      setTimeout(() => {
        print(list() + ", streamed " + (globalThis as any).streamed());
        const { kept } = globalThis as any;
        const filtered = (name: string) => listCallbacks().find((callback) => callback.name === name)!.filtered;
        // A hundred times around the loop, two instructions each: without an end all of them would be counted.
        print("more was filtered: " + (filtered("twice") - kept.twice) + ", for others at least 98: " + (filtered("rest") - kept.others >= 98));
        print("hooked " + filtered("hooked") + ", removed " + cm.callbackExists("removed"));
        for (const name of ["twice", "hooked", "opcode", "stream"]) cm.rmCallback(name);
        print(list());
      }, 50);
    `,
  );
  checkMessages(run, [
    "hooked 3, opcode 1, rest 100, twice 2, streamed 5",
    "more was filtered: 0, for others at least 98: true",
    "hooked 0, removed false",
    "rest 100",
  ]);
});

test("what a callback of processes loses by its hits is no longer found out for it", async () => {
  const run = await runWithoutGuest(`
    const log: string[] = [];
    setGuestEventSource({
      watch: (type: string, on: boolean) => void log.push((on ? "+" : "-") + type),
      listProcesses: () => [],
      listModules: () => [],
    });
    cm.addCallback("CREATEPROC_CB", (pid) => void log.push(String(pid)), { name: "two", filter: { hits: 2 } });
    for (const pid of [1, 2, 3]) raiseProcessEvent("CREATEPROC_CB", { pid, pgd: 1n, name: "" });
    const { calls, filtered } = listCallbacks().find(({ name }) => name === "two")!;
    print(log.join(" ") + " calls " + calls + " filtered " + filtered + " " + cm.callbackExists("two"));
    cm.rmCallback("two");
    print(String(listCallbacks().length) + " " + log.length);
  `);
  checkMessages(run, ["+CREATEPROC_CB 1 2 -CREATEPROC_CB calls 2 filtered 0 true", "0 4"]);
});

test("a stream that drops shows how many", async () => {
  const run = await watchSequence(
    `
      const filter = { address: { from: at.buffer, to: at.buffer + 8192n } };
      cm.addStream("MEM_WRITE_CB", () => {}, { name: "drops", filter, capacity: 2, onFull: "drop" });
      cm.addCallback("MEM_WRITE_CB", () => {}, { name: "all", filter });
    `,
    `
      setTimeout(() => {
        const of = Object.fromEntries(listCallbacks().map((callback) => [callback.name, callback]));
        print("all " + of.all!.calls + ", dropped " + (of.drops!.dropped > 0) + " " + of.all!.dropped);
      }, 50);
    `,
  );
  checkMessages(run, ["all 13, dropped true 0"]);
});
