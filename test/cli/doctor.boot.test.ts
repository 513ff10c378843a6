import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import type { DiagnosisStep } from "../../src/systems/linux/guest-diagnosis";
import { withBootImage } from "../kit/guests/boot-image";
import { listKits } from "../kit/guests/guest-kits";
import { type GuestRun, runGuest, runRebox, scriptPrelude } from "../kit/guests/guest-run";
import { withShell } from "../kit/terminal/shell-run";

const STEPS =
  "cpu,image,page-tables,symbols,banner,types,processes,memory maps,files,mounts,programs,modules,log,clock".split(",");

function find(steps: readonly DiagnosisStep[], name: string): DiagnosisStep {
  return steps.find((step) => step.name === name)!;
}

function statuses(steps: readonly DiagnosisStep[]): string {
  return steps.map(({ name, status }) => `${name} ${status}`).join(", ");
}

/** Says what each step must be when one of the first fails: found before it, not reached behind it. */
function failingAt(failed: string): string {
  const at = STEPS.indexOf(failed);
  return STEPS.map((name, index) => `${name} ${index < at ? "ok" : index === at ? "fail" : "skip"}`).join(", ");
}

/** A script that asks for the guest, in vain, and then prints the diagnosis. */
const ASK_IN_VAIN = (until: string): string => `
  import { CallbackManager, diagnoseGuest, Engine, findGuest, findGuestRefusal, readCpu } from "rebox";
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const timer = setInterval(() => {
      const found = findGuest();
      if (!(${until})) return;
      clearInterval(timer);
      print(String(found));
      print(JSON.stringify(findGuestRefusal()));
      print(JSON.stringify(diagnoseGuest()));
      void Engine.get().quit();
    }, 20);
  }
  export const clean = (): void => {};
`;

/** What ASK_IN_VAIN has printed. */
function readVain({ messages }: GuestRun) {
  assert.equal(messages[0], "undefined");
  const refusal = JSON.parse(messages[1]!) as { step: string; evidence: string; isEarly: boolean };
  const diagnosis = JSON.parse(messages[2]!) as { isHealthy: boolean; isEarly: boolean; steps: DiagnosisStep[] };
  return { refusal, diagnosis };
}

for (const kit of listKits()) {
  test(`a healthy guest with ${kit.release}: every step tells what the guest itself says`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-doctor-"));
    try {
      const conf = join(folder, "pyrebox.conf");
      writeFileSync(conf, kit.profile === undefined ? "" : `[VOL]\nprofile: ${kit.profile}\n`);
      const run = await runGuest({
        task: "zoo",
        parameters: { kallsyms: "_s?text$" },
        kit,
        reports: true,
        timeoutMs: 120_000,
        reboxArgs: ["-c", conf],
        script: (serial) => `
          import { diagnoseGuest, Engine } from "rebox";
          ${scriptPrelude(serial)}
          export function initialize_callbacks(handle: number, print: (text: string) => void): void {
            void untilTruth("zoo.reported").then(() => {
              print(JSON.stringify(diagnoseGuest()));
              return Engine.get().quit();
            });
          }
          export const clean = (): void => {};
        `,
      });
      assert.equal(run.stderr, "");
      const { report } = run;
      const { isHealthy, isEarly, steps } = JSON.parse(run.messages[0]!) as {
        isHealthy: boolean;
        isEarly: boolean;
        steps: DiagnosisStep[];
      };
      assert.equal(statuses(steps), STEPS.map((name) => `${name} ok`).join(", "));
      assert.deepEqual([isHealthy, isEarly, steps.filter(({ advice }) => advice !== "")], [true, false, []]);
      const banner = report.text("/proc/version").trim();
      assert.equal(find(steps, "banner").evidence.split("; build ids")[0], banner);
      const text = report.lines("/tmp/kallsyms").find((line) => / (_text|_stext)$/.test(line))!;
      const address = text.split(" ")[0]!.replace(/^0+/, "");
      assert.ok(find(steps, "symbols").evidence.includes(` at 0x${address}, `), find(steps, "symbols").evidence);
      const modules = report.lines("/proc/modules").map((line) => line.split(" ")[0]);
      assert.ok(find(steps, "modules").evidence.startsWith(`${modules.length}: ${modules[0]} at `));
      const pids = report.list("/proc").filter((name) => /^\d+$/.test(name));
      // Workers of the kernel come and go while the guest reports.
      const found = Number(/^\d+/.exec(find(steps, "processes").evidence)![0]);
      assert.ok(Math.abs(found - pids.length) <= 3, `${found} processes, not ${pids.length}`);
      const maps = report.lines("/proc/1/maps").length;
      assert.match(
        find(steps, "memory maps").evidence,
        new RegExp(`^init \\(1, pgd 0x[0-9a-f]+\\): ${maps} mappings$`),
      );
      assert.ok(find(steps, "types").evidence.includes(kit.profile === undefined ? "BTF at 0x" : kit.profile));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test("without KASLR the kernel is at its usual place, and the command says so", async () => {
  const run = await runGuest({
    task: "idle",
    kernelArgs: "nokaslr",
    script: () => `
      import { diagnoseGuest, Engine, waitForGuest } from "rebox";
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        void waitForGuest().then(() => {
          print(diagnoseGuest().steps.find(({ name }) => name === "symbols")!.evidence);
          return Engine.get().quit();
        });
      }
      export const clean = (): void => {};
    `,
  });
  assert.match(run.messages[0]!, /; _text at 0xffffffff81000000, 0x0 from 0xffffffff81000000, its usual place/);
});

test("rebox doctor SOCKET says that there is only firmware, and the run says it at its end", async () => {
  const ended = await withShell({ task: null }, async (run) => {
    const early = await runRebox(["doctor", run.socket], 30_000);
    assert.equal(early.status, 1);
    assert.match(early.stdout, /^fail {2}cpu .*vCPU 0: paging off, CR0 0x[0-9a-f]+,.*\n {19}-> try again when/);
    assert.match(early.stdout, /^skip {2}symbols {6}not reached$/m);
    const json = await runRebox(["doctor", run.socket, "--json"], 30_000);
    const steps = JSON.parse(json.stdout) as DiagnosisStep[];
    assert.equal(statuses(steps), failingAt("cpu"));
    assert.match(await run.error("ps"), /^no kernel yet: vCPU 0 has paging off/);
  });
  const said = ended.stderr.split("\n").filter((line) => line !== "");
  assert.equal(said.length, 1, ended.stderr);
  assert.match(said[0]!, /^rebox: no system was found in the guest until the end \(cpu\): vCPU 0 has paging off/);
});

test("rebox doctor SOCKET on a healthy guest ends with 0, and with 1 where nobody listens", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    const healthy = await runRebox(["doctor", run.socket], 60_000);
    assert.equal(healthy.status, 0, healthy.stdout);
    assert.deepEqual(
      healthy.stdout
        .trim()
        .split("\n")
        .map((line) => line.slice(0, 17).trimEnd()),
      STEPS.map((name) => `ok    ${name}`),
    );
  });
  const nobody = await runRebox(["doctor", "/tmp/rebox-nobody"], 30_000);
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /nobody listens there; start the guest with rebox run --control/);
});

/** Enters 64-bit mode, says that system calls enter where Windows has its kernel, and stays. */
const OTHER_SYSTEM = `
  cli
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov $0x1000, %di
  mov $0x1800, %cx
  rep stosw
  movl $0x2003, 0x1000
  movl $0x3003, 0x2000
  movl $0x83, 0x3000
  mov $0x20, %eax
  mov %eax, %cr4
  mov $0x1000, %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx
  rdmsr
  or $0x101, %eax
  wrmsr
  mov %cr0, %eax
  or $0x80000001, %eax
  mov %eax, %cr0
  lgdtw pointer
  ljmp $8, $long
.code64
long:
  mov $0xc0000082, %ecx
  mov $0x12345678, %eax
  mov $0xfffff800, %edx
  wrmsr
stay:
  jmp stay
.balign 8
table: .quad 0, 0x00209a0000000000
pointer: .word 15
  .long table
`;

test("a boot sector that is no Linux is refused by where its system calls enter, and the run says so once", async () => {
  await withBootImage(OTHER_SYSTEM, async ({ qemuArgs }) => {
    const run = await runGuest({ task: null, qemuArgs, script: () => ASK_IN_VAIN("readCpu(0).LSTAR !== 0n") });
    const { refusal, diagnosis } = readVain(run);
    assert.deepEqual([refusal.step, refusal.isEarly, diagnosis.isHealthy], ["image", false, false]);
    assert.match(find(diagnosis.steps, "image").evidence, /0xfffff80012345678/);
    const { status, evidence } = find(diagnosis.steps, "cpu");
    assert.match(`${status} ${evidence}`, /^ok .*paging 4-level, CR0 0x80000011.*LSTAR 0xfffff80012345678/);
    assert.match(find(diagnosis.steps, "image").advice, /another operating system/);
    const said = run.stderr.split("\n").filter((line) => line !== "");
    assert.equal(said.length, 1, run.stderr);
    assert.match(said[0]!, /^rebox: the guest's system cannot be read \(image\): .*0xfffff80012345678/);
  });
});

test("a kernel whose kallsyms has been destroyed fails at its symbols, on what is left of them", async () => {
  const run = await runGuest({
    task: "busy",
    script: (serial) => `
      import { diagnoseGuest, Engine, getRunningProcess, writeVa } from "rebox";
      ${scriptPrelude(serial)}
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        void untilTruth("busy").then(() => {
          const { evidence } = diagnoseGuest().steps.find(({ name }) => name === "symbols")!;
          const tokens = BigInt(/tokens at (0x[0-9a-f]+)/.exec(evidence)![1]!);
          writeVa(getRunningProcess(), tokens, Buffer.alloc(512));
          print(JSON.stringify(diagnoseGuest()));
          return Engine.get().quit();
        });
      }
      export const clean = (): void => {};
    `,
  });
  assert.equal(run.stderr, "");
  const { steps } = JSON.parse(run.messages[0]!) as { steps: DiagnosisStep[] };
  assert.equal(statuses(steps), failingAt("symbols"));
  assert.match(find(steps, "symbols").evidence, /^in the image at 0xffffffff[0-9a-f]+ to .*no table of 256 tokens/);
  assert.match(find(steps, "symbols").advice, /CONFIG_KALLSYMS/);
});

const POOR = listKits().find(({ profile }) => profile !== undefined);
const skip = POOR ? false : "set-up could not make a guest with a kernel that needs a profile";

async function runPoor(configuration: (folder: string) => string): Promise<GuestRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doctor-"));
  try {
    const conf = join(folder, "pyrebox.conf");
    writeFileSync(conf, configuration(folder));
    return await runGuest({
      task: "busy",
      kit: POOR!,
      timeoutMs: 120_000,
      env: { XDG_DATA_HOME: folder },
      reboxArgs: ["-c", conf],
      script: (serial) =>
        `import { readFileSync } from "node:fs";` +
        ASK_IN_VAIN(`readFileSync(${JSON.stringify(serial)}, "latin1").includes("rebox-guest: busy=")`),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Changes a profile: its first line, and the lines of its symbols. */
function changeProfile(
  header: (facts: Record<string, unknown>) => object,
  symbols: (text: string) => string = (text) => text,
): Buffer {
  const bytes = readFileSync(POOR!.profile!);
  const end = bytes.indexOf(10);
  const facts = JSON.parse(bytes.toString("utf8", 0, end)) as Record<string, unknown>;
  const body = gunzipSync(bytes.subarray(end + 1));
  const size = facts.btfSize as number;
  const changed = Buffer.from(symbols(body.toString("latin1", size)), "latin1");
  const packed = gzipSync(Buffer.concat([body.subarray(0, size), changed]));
  return Buffer.concat([Buffer.from(`${JSON.stringify(header(facts))}\n`), packed]);
}

test(
  "a kernel without BTF and without a profile fails at its types, and the advice is to make one",
  { skip },
  async () => {
    const run = await runPoor(() => "");
    const { refusal, diagnosis } = readVain(run);
    assert.deepEqual([refusal.step, refusal.isEarly], ["types", false]);
    assert.equal(statuses(diagnosis.steps), failingAt("types"));
    assert.ok(find(diagnosis.steps, "banner").evidence.startsWith(`Linux version ${POOR!.release} `));
    assert.match(find(diagnosis.steps, "types").evidence, /no BTF in its memory .* and no profile fits$/);
    assert.match(find(diagnosis.steps, "types").advice, /rebox profile/);
    assert.match(run.stderr, /^rebox: the guest's system cannot be read \(types\): .*rebox profile.*\n$/);
  },
);

test(
  "a profile of another kernel is refused by name, and one that does not say so by the first task",
  { skip },
  async () => {
    const other = "Linux version 1.2.3 (somebody@else)";
    const named = readVain(
      await runPoor((folder) => {
        writeFileSync(
          join(folder, "other"),
          changeProfile((facts) => ({ ...facts, buildId: "00", banner: other })),
        );
        return "[VOL]\nprofile: other\n";
      }),
    ).diagnosis;
    assert.equal(statuses(named.steps), failingAt("types"));
    assert.ok(find(named.steps, "types").evidence.includes(`this is a profile of "${other}"`));

    const silent = readVain(
      await runPoor((folder) => {
        const changed = changeProfile(
          ({ buildId, banner, ...facts }) => (assert.ok(buildId !== banner), facts),
          // The first task's address, moved by as much as another build might.
          (text) =>
            text.replace(/^([0-9a-f]+)( [0-9a-f]+ \w init_task)$/m, (_, at: string, rest: string) => {
              return (BigInt(`0x${at}`) + 0x1000n).toString(16) + rest;
            }),
        );
        writeFileSync(join(folder, "silent"), changed);
        return "[VOL]\nprofile: silent\n";
      }),
    ).diagnosis;
    assert.equal(find(silent.steps, "types").status, "fail");
    assert.match(
      find(silent.steps, "types").evidence,
      /silent the kernel's first task is at .*, not "swapper": it is of/,
    );
  },
);
