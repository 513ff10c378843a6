import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GuestProgress } from "./guest-progress";
import { MemoryTrend } from "./memory-trend";
import { PROJECT, REBOX } from "../kit/project";

const SOURCES = join(PROJECT, "test/soak");
const GUEST = join(PROJECT, "build/guest");

const TRIGGER_TYPES = [
  ...["BLOCK_BEGIN_CB", "BLOCK_END_CB", "INSN_BEGIN_CB", "INSN_END_CB", "MEM_READ_CB", "MEM_WRITE_CB"],
  ...["OPCODE_RANGE_CB", "TLB_EXEC_CB", "CONTEXTCHANGE_CB", "CPUID_CB", "NIC_SEND_CB", "NIC_REC_CB", "KEYSTROKE_CB"],
];
const LOOK_MS = 1000;
/** So long may nothing come: from the script, and from each of the guest's workers. */
const SILENCE_LIMIT_MS = 120_000;
const START_LIMIT_MS = 120_000;
const END_LIMIT_MS = 60_000;
const OPEN_FILES_LIMIT = 200;

/** What a soak shall do. */
export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  /** The number of the first audit, to begin where another soak broke; 1 by default. */
  readonly first?: number;
  /** Is told what happens. */
  readonly say?: (line: string) => void;
}

/** How a soak went. */
export interface SoakResult {
  readonly audits: number;
  readonly events: number;
  /** What did not hold; empty when all is well. */
  readonly violations: readonly string[];
  readonly summary: string;
}

/** One soak: a guest under `rebox run`, test/soak/script.ts in it, and what must hold checked from outside. */
export class SoakRun {
  readonly #folder = mkdtempSync(join(tmpdir(), "rebox-soak-"));
  readonly #temporary = join(this.#folder, "temporary");
  readonly #serial = join(this.#folder, "serial.txt");
  readonly #progress = new GuestProgress();
  readonly #memory: MemoryTrend;
  readonly #violations: string[] = [];
  #child!: ChildProcess;
  #output = "";
  #errors = "";
  #audits = 0;
  #events = 0;
  #begun = 0;
  #isReady = false;
  #hasEnded = false;
  #heardAt = Date.now();
  #rounds = [0n, 0n];
  #advancedAt = [Date.now(), Date.now()];

  constructor(readonly options: SoakOptions) {
    this.#memory = new MemoryTrend(options.seconds);
  }

  async run(): Promise<SoakResult> {
    try {
      this.#prepare();
      const { status, signal } = await this.#execute();
      if (this.#violations.length > 0) return this.#result();
      if (status !== 0) this.#violate(`rebox ended with ${signal ?? status}: ${this.#errors.slice(-3000)}`);
      else if (!this.#hasEnded) this.#violate("the script did not come to its end");
      this.#readSerial();
      this.#checkRemains();
      for (const wrong of this.#memory.check()) this.#violate(wrong);
      return this.#result();
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  #violate(what: string): void {
    this.#violations.push(what);
    this.options.say?.(`BROKEN: ${what}`);
  }

  #prepare(): void {
    mkdirSync(this.#temporary);
    writeFileSync(this.#serial, "");
    const source = readFileSync(join(SOURCES, "counting-trigger.c"), "utf8");
    for (const type of TRIGGER_TYPES) {
      writeFileSync(join(this.#folder, `counting-${type}.c`), source.replace("SOAK_TYPE", type));
    }
  }

  #execute(): Promise<{ status: number | null; signal: NodeJS.Signals | null }> {
    const { seed, seconds, first = 1 } = this.options;
    const order = { seed, first, seconds, serial: this.#serial, trigger: join(this.#folder, "counting") };
    const machine = [
      // Everything that grows by design is there from the start, or small.
      ...["-accel", "tcg,thread=single,tb-size=32", "-m", "192", "-mem-prealloc", "-smp", "2"],
      ...["-display", "none", "-monitor", "none", "-no-reboot", "-serial", `file:${this.#serial}`],
      ...["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0"],
      ...["-kernel", join(GUEST, "vmlinuz"), "-initrd", join(GUEST, "initramfs.cpio.gz")],
      ...["-append", "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=soak"],
    ];
    this.#child = spawn(
      process.execPath,
      [REBOX, "run", "--trust", "--json", "-", "--script", join(SOURCES, "script.ts"), "--", ...machine],
      {
        cwd: this.#folder,
        env: { ...process.env, TMPDIR: this.#temporary, REBOX_SOAK: JSON.stringify(order) },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => this.#hear(text));
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-100_000);
    });
    const timer = setInterval(() => this.#look(), LOOK_MS);
    return new Promise((settle, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (status, signal) => {
        clearInterval(timer);
        settle({ status, signal });
      });
    });
  }

  /** Takes what the script says, in rebox' JSON lines. */
  #hear(text: string): void {
    const lines = (this.#output + text).split("\n");
    this.#output = lines.pop()!;
    for (const line of lines) {
      const event = JSON.parse(line) as { type: string; text?: string; cause?: string };
      if (event.type === "message") this.#understand(event.text ?? "");
    }
  }

  #understand(message: string): void {
    this.#heardAt = Date.now();
    const [word, rest = ""] = [message.split(" ", 1)[0], message.slice(message.indexOf(" ") + 1)];
    if (word === "violation") {
      this.#violate(rest);
      this.#child.kill("SIGINT");
    } else if (word === "ready") {
      this.#isReady = true;
      this.#advancedAt = [Date.now(), Date.now()];
    } else if (word === "begin") {
      this.#begun = Number(rest);
    } else if (word === "report" || word === "end") {
      const said = JSON.parse(rest) as { audits: number; events: number; heap?: number };
      this.#audits = said.audits;
      this.#events = said.events;
      this.#hasEnded ||= word === "end";
      if (said.heap !== undefined) this.#memory.addHeap(said.heap);
    }
  }

  #readSerial(): void {
    this.#progress.update(readFileSync(this.#serial, "latin1"));
    for (const wrong of this.#progress.errors.splice(0)) this.#violate(wrong);
  }

  #look(): void {
    const pid = this.#child.pid!;
    this.#readSerial();
    this.#memory.addProcess(pid);
    const now = Date.now();
    this.#progress.rounds.forEach((round, cpu) => {
      if (round !== this.#rounds[cpu]) {
        this.#rounds[cpu] = round;
        this.#advancedAt[cpu] = now;
      }
    });
    if (this.#hasEnded) {
      if (now - this.#heardAt > END_LIMIT_MS) this.#giveUp("rebox does not end");
    } else if (!this.#isReady) {
      if (now - this.#heardAt > START_LIMIT_MS) this.#giveUp("the guest does not start to work");
    } else if (now - this.#heardAt > SILENCE_LIMIT_MS) {
      this.#giveUp(`audit ${this.#begun} does not end`);
    } else if (now - Math.min(...this.#advancedAt) > SILENCE_LIMIT_MS) {
      this.#giveUp(`the guest stands still in audit ${this.#begun}: rounds ${this.#rounds.join(" and ")}`);
    } else if (existsSync(`/proc/${pid}/fd`) && readdirSync(`/proc/${pid}/fd`).length > OPEN_FILES_LIMIT) {
      this.#giveUp(`more than ${OPEN_FILES_LIMIT} open files`);
    }
  }

  /** Says where all threads are before the process is ended. */
  #giveUp(what: string): void {
    if (this.#child.killed) return;
    this.#violate(what);
    try {
      const args = ["-p", String(this.#child.pid), "-batch", "-ex", "thread apply all bt 30"];
      const threads = join(PROJECT, `build/logs/soak-${this.options.seed}.txt`);
      writeFileSync(threads, execFileSync("gdb", args, { stdio: ["ignore", "pipe", "ignore"], timeout: 60_000 }));
      this.options.say?.(`where its threads are: ${threads}`);
    } catch {
      this.options.say?.("where it stands could not be found out: gdb is not installed or may not look");
    }
    this.#child.kill("SIGKILL");
  }

  #checkRemains(): void {
    const left = readdirSync(this.#temporary);
    if (left.length > 0) this.#violate(`left in the temporary folder: ${left.join(", ")}`);
    if (existsSync(`/proc/${this.#child.pid}`)) this.#violate("the process is still there");
  }

  #result(): SoakResult {
    const { seed, seconds } = this.options;
    const summary = [
      `seed ${seed}: ${this.#audits} audits in ${seconds} s`,
      `${this.#events} events compared`,
      `rounds of the guest's workers: ${this.#progress.rounds.join(" and ")}`,
      this.#memory.summary,
    ].join("; ");
    return { audits: this.#audits, events: this.#events, violations: this.#violations, summary };
  }
}
