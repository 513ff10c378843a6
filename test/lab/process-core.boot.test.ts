import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import type { CallStack } from "../../src/server/results/call-stacks";
import { lookIntoMemory } from "../../src/server/results/look-memory";
import { type ProcessMemory, readProcessDetails } from "../../src/server/results/process-details";
import { ControlClient } from "../../src/shell/line/control-client";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { startAnalyze } from "../kit/lab/analyze-run";
import { withReadyMachine } from "../kit/lab/ready-lab";

/** Prints where its data lies, waits until a number behind it is written from outside, puts known values into registers, and ends within a system call while another thread waits. */
const PROGRAM = `
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>
static __attribute__((noinline)) int make(const char *path) { int made = mkdir(path, 0700); close(open("/tmp/empty", O_CREAT | O_WRONLY, 0600)); asm volatile("" : "+r"(made)); return made; }
static __attribute__((noinline)) int lead_to_it(const char *path) { int made = make(path); asm volatile("" : "+r"(made)); return made; }
static void *wait_here(void *unused) {
  register long rbx asm("rbx") = 0x7777777700000001;
  long rax = 34; /* pause */
  asm volatile("syscall" : "+a"(rax) : "r"(rbx) : "rcx", "r11", "memory");
  return unused;
}
int main(void) {
  pthread_t thread;
  char *heap = calloc(64, 1);
  snprintf(heap, 64, "made while it ran: %d", 42);
  pthread_create(&thread, 0, wait_here, 0);
  usleep(200000);
  FILE *console = fopen("/dev/console", "w");
  fprintf(console, "core heap=%p main=%p entry=0x%lx pid=%d\\n", heap, (void *)main, getauxval(AT_ENTRY), getpid());
  fclose(console);
  while (!((volatile int *)heap)[15]) usleep(10000);
  volatile int turns = 3;
  for (int turn = 0; turn < turns; turn++) {
    char path[] = "/tmp/made-0";
    path[10] += turn;
    lead_to_it(path);
  }
  register long r12 asm("r12") = 0x1122334455667788, r13 asm("r13") = (long)heap;
  asm volatile("syscall" : : "a"(231), "D"(7), "r"(r12), "r"(r13) : "rcx", "r11", "memory"); /* exit_group */
}`;

/** Checks what the page of a process shows: what has led to its acts and its end, and its memory. @param backtrace of gdb, at its end */
function checkDetails(folder: string, pid: number, heap: bigint, backtrace: string): void {
  const { stacks, memory } = readProcessDetails(folder, pid);
  const namesOf = ({ frames }: CallStack) => frames.map(({ symbol }) => symbol?.replace(/^__/, ""));
  const made = stacks.filter(({ type }) => type === "file.made");
  // All three are made by one way.
  assert.deepEqual(made.map(({ facts }) => facts["path"]), ["/tmp/made-0"]); // prettier-ignore
  assert.deepEqual(namesOf(made[0]!).slice(0, 4), ["mkdir", "make", "lead_to_it", "main"]);
  // A file that nothing is written into, told as it is opened.
  const written = stacks.filter(({ type, facts }) => type === "file.written" && facts["path"] === "/tmp/empty");
  assert.deepEqual(written.map((stack) => namesOf(stack).slice(1, 4)), [["make", "lead_to_it", "main"]]); // prettier-ignore
  const end = stacks.find(({ type }) => type === "process.ended")!;
  assert.equal(namesOf(end)[0], "main");
  const callers = [...backtrace.matchAll(/^#[1-9]\d* +(0x[0-9a-f]+) in/gm)].map(([, address]) => BigInt(address!));
  assert.ok(callers.length >= 2, backtrace);
  assert.deepEqual(end.frames.slice(1).map(({ address }) => BigInt(address)), callers); // prettier-ignore
  const [{ file, threads, mappings, signal }] = memory as [ProcessMemory];
  assert.deepEqual([signal, threads.length, threads[0]!.registers.r13], [0, 2, heap]);
  assert.ok(mappings.some(({ path, permissions }) => /program|target/.test(path) && permissions === "r-x"));
  const look = lookIntoMemory(join(folder, file), heap)!;
  assert.match(Buffer.from(look.bytes).toString("latin1"), /^made while it ran: 42\0/);
}

test("the memory of a process, asked for and at its end, is a core that gdb and readelf read as the program itself says", async () => {
  const files = {
    "conf/auxiliary.conf": "[processes]\nenabled = yes\n[artefacts]\nenabled = yes\n[syscalls]\nenabled = yes\n",
    "program.c": PROGRAM,
    "rules/yara/heap.yar": 'rule Heap { strings: $a = "made while it ran: 42" condition: $a }',
  };
  await withReadyMachine(files, async (lab) => {
    const program = lab.path("program");
    execFileSync("gcc", ["-g", "-O1", "-static", "-pthread", "-o", program, lab.path("program.c")]);
    const { ended } = startAnalyze(lab, "--target", program);
    const said = await lab.until("state/g/console.log", /core heap=(\S+) main=(\S+) entry=(\S+) pid=(\d+)\s/);
    const [, heap, main, entry, pid] = said as unknown as [string, string, string, string, string];
    const asked = lab.path("asked.core");
    const client = await ControlClient.connect(lab.path("state/g/control.sock"));
    const dumped = await client.run(`dump_process ${pid} ${asked}`);
    if (dumped.error !== undefined) assert.fail(dumped.error);
    const { memory, ...facts } = dumped.data as { readonly memory: number };
    assert.deepEqual(facts, { path: asked, threads: 2, pid: Number(pid) });
    assert.ok(memory > 20_000 && memory < 10_000_000, String(memory));
    assert.match(
      String((await client.run(`dump_process ${pid} ${asked}`)).error),
      /is there already; choose another file/,
    );
    assert.match(String((await client.run(`dump_process kthreadd ${asked}.2`)).error), /has none/);
    await client.run(`proc ${pid}`);
    assert.equal((await client.run(`ed ${heap}+3c=1`)).error, undefined);
    client.close();
    const { end, output } = await ended;
    assert.equal(end, 0, output);
    const show = (core: string, commands: readonly string[]) =>
      execFileSync("gdb", ["-nx", "-batch", ...commands.flatMap((each) => ["-ex", each]), program, core], { encoding: "utf8" }); // prettier-ignore
    const before = show(asked, [`x/s ${heap}`, `x/dw ${heap}+60`, "thread apply all bt", "info registers rip"]);
    assert.match(before, /"made while it ran: 42"/);
    assert.match(before, /:\s+0$/m);
    // Between closing the console and the next sleep.
    assert.match(before, /^#[1-9] .* in main \(/m);
    const { log, cores: reported, verdict } = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport;
    const { cores } = JSON.parse(lab.read("analyses/1/artefacts.json")) as { cores: Record<string, unknown>[] };
    assert.deepEqual(cores.map((one) => [one["pid"], one["threads"], one["left"]]), [[Number(pid), 2, undefined]], JSON.stringify([cores, log])); // prettier-ignore
    const core = lab.path(`analyses/1/cores/${String(cores[0]!["core"])}`);
    assert.deepEqual(reported.map((one) => one.core), [cores[0]!["core"]]); // prettier-ignore
    const [fired] = verdict!.findings.filter(({ kind }) => kind === "yara");
    assert.deepEqual(fired!.evidence.map(({ pid: whose, text }) => [whose, text]), [[Number(pid), `memory ${String(cores[0]!["core"])}`]]); // prettier-ignore
    const readelf = execFileSync("readelf", ["-hlnW", core], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    assert.match(readelf, /Type: +CORE/);
    assert.doesNotMatch(readelf, /[Ww]arning|[Ee]rror/);
    const commands = ["info registers r12 r13 rdi rax", `x/s ${heap}`, `x/8xb ${main}`, "info auxv", "info threads", "thread 2", "info registers rbx rip", "info proc mappings"]; // prettier-ignore
    const gdb = show(core, commands);
    assert.match(gdb, /r12 +0x1122334455667788/);
    assert.match(gdb, new RegExp(`r13 +${heap}\\b`));
    assert.match(gdb, /rdi +0x7\b/);
    assert.match(gdb, /"made while it ran: 42"/);
    assert.match(gdb, new RegExp(`AT_ENTRY .*${entry}\\b`));
    assert.match(gdb, /rbx +0x7777777700000001/);
    // The code that the file has at the same place.
    const bytes = execFileSync("gdb", ["-nx", "-batch", "-ex", `x/8xb ${main}`, program], { encoding: "utf8" });
    const last = (text: string) => /<main>:\s*(.*)/.exec(text)![1];
    assert.equal(last(gdb), last(bytes));
    assert.match(gdb, /0x\w+ +0x\w+ +0x\w+ +0x0 +\/\S*program/);
    checkDetails(lab.path("analyses/1"), Number(pid), BigInt(heap), show(core, ["set backtrace past-main on", "bt"]));
  });
});
