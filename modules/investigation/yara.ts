import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  callWithin,
  compileExpression,
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationResult,
  KernelDataError,
  type LinuxProcess,
  parseFlags,
  registerInvestigation,
  z,
} from "rebox";

/** Memory of the guest is written to memory only: to a folder of a tmpfs, which is gone with the run. */
const TMPFS_MAGIC = 0x01021994;
const FOLDERS = [process.env.XDG_RUNTIME_DIR, "/dev/shm", "/run", "/tmp"];
const LONGEST_MATCH_MS = 1000;
const LONGEST_OUTPUT = 64 * 1024 * 1024;
/** Of one rule in one process. */
const MOST_MATCHES = 100;
/** Between pieces of memory that do not follow each other: nothing that lies across is a match. */
const GAP = Buffer.alloc(4096);

const Parameters = z.strictObject({
  /** The text of the rules. */
  rules: z.string().min(1),
  /** Regular expressions for the program's path; without them, and without pids, all processes are looked at. */
  names: z.array(z.string()).default([]),
  pids: z.array(z.int().min(1)).default([]),
  /** For each process, in seconds. */
  timeout: z.int().min(1).max(3600).default(60),
});
type Parameters = z.infer<typeof Parameters>;

interface Match {
  /** The name of the string in the rule. */
  readonly string: string;
  readonly address: string;
  /** In bytes. */
  readonly length: number;
}

interface Element {
  readonly rule: string;
  readonly process: { readonly name: string; readonly pid: number };
  readonly matches: readonly Match[];
}

interface Statistics {
  readonly processcount: number;
  readonly memoryread: number;
  readonly totalhits: number;
  readonly exectime: string;
}

/** A piece of memory in the file that YARA reads. */
interface Piece {
  readonly at: number;
  readonly address: bigint;
  readonly size: number;
}

const HELP = `yara looks for what YARA's rules describe in the memory of a guest's processes. It tells rules and places, never contents.

-rules FILE      the rules
-name REGEX      only processes whose program's path matches
-pid NUMBER      only the process with this number
-t SECONDS       how long a process may take; 60 without it

The program yara must be installed: apt install yara.`;

class Yara extends Investigation<Parameters, Element[], Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    for (const source of this.parameters.names) compileExpression(source);
  }

  protected async investigate(): Promise<Findings<Element[], Statistics>> {
    const startMs = performance.now();
    const guest = this.context.getGuest();
    const elements: Element[] = [];
    const errors: string[] = [];
    let [processcount, memoryread] = [0, 0];
    const folder = new MemoryFolder();
    try {
      const rules = folder.write("rules", this.parameters.rules);
      // Rules that mean nothing are an error, whichever processes there are.
      await this.#scan(rules, folder.write("nothing", ""));
      for (const process of this.#select(this.context.atOneMoment(() => guest.getProcessList()))) {
        processcount++;
        try {
          const name = this.context.atOneMoment(() => process.executable);
          const { file, pieces, size } = await this.context.whilePaused(() => this.#copy(process, folder));
          memoryread += size;
          elements.push(...toElements(await this.#scan(rules, file), pieces, { name, pid: process.pid }));
        } catch (error) {
          if (!(error instanceof KernelDataError)) throw error;
          errors.push(`process ${process.pid} (${process.name}): ${error.message}`);
        }
        await this.context.turn();
      }
    } finally {
      folder.remove();
    }
    const exectime = formatDuration((performance.now() - startMs) * 1e6);
    const statistics = { processcount, memoryread, totalhits: elements.length, exectime };
    return { found: elements.length > 0, elements, statistics, errors };
  }

  #select(processes: readonly LinuxProcess[]): LinuxProcess[] {
    const { names, pids } = this.parameters;
    const expressions = names.map((source) => compileExpression(source));
    const candidates = processes.filter(({ pgd, pid }) => pgd !== 0n && (pids.length === 0 || pids.includes(pid)));
    if (expressions.length === 0) return candidates;
    const paths = this.context.atOneMoment(() => candidates.map((process) => process.executable));
    return callWithin(LONGEST_MATCH_MS, () =>
      candidates.filter((_, index) => expressions.some((expression) => expression.test(paths[index] as string))),
    );
  }

  /** Copies the memory of a process, while the guest stands still. */
  async #copy(process: LinuxProcess, folder: MemoryFolder): Promise<{ file: string; pieces: Piece[]; size: number }> {
    const file = folder.write("memory", "");
    const descriptor = openSync(file, "w", 0o600);
    const pieces: Piece[] = [];
    let [at, size] = [0, 0];
    let end: bigint | undefined;
    try {
      for (const { address, bytes } of process.walkMemory()) {
        if (!bytes) continue;
        if (end !== undefined && end !== address) at += writeSync(descriptor, GAP);
        const last = pieces.at(-1);
        if (last && end === address) pieces[pieces.length - 1] = { ...last, size: last.size + bytes.length };
        else pieces.push({ at, address, size: bytes.length });
        for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
        at += bytes.length;
        size += bytes.length;
        end = address + BigInt(bytes.length);
        await this.context.turn();
      }
    } finally {
      closeSync(descriptor);
    }
    return { file, pieces, size };
  }

  /** Runs YARA; what it says has places and lengths, and no contents. */
  #scan(rules: string, file: string): Promise<string> {
    const { timeout } = this.parameters;
    const args = ["--no-warnings", "--print-string-length", `--timeout=${timeout}`, rules, file];
    return new Promise((resolve, reject) => {
      const child = spawn("yara", args, { stdio: ["ignore", "pipe", "pipe"], signal: this.context.signal });
      let [output, errors] = ["", ""];
      child.stdout.setEncoding("latin1").on("data", (text: string) => {
        output += text;
        if (output.length > LONGEST_OUTPUT) child.kill("SIGKILL");
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-4096)));
      child.once("error", (error) => {
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        reject(isMissing ? new Error("there is no program yara: apt install yara", { cause: error }) : error);
      });
      child.once("close", (status) => {
        if (output.length > LONGEST_OUTPUT) reject(new Error("the rules match too often: make them narrower"));
        else if (status === 0) resolve(output);
        // Names of files mean nothing to whoever asked.
        else reject(new Error(`yara: ${errors.replaceAll(rules, "rules").replaceAll(file, "memory").trim()}`));
      });
    });
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const lines = ((result.elements ?? []) as Element[]).map(({ rule, process, matches }) => {
      const places = matches.map(({ string, address }) => `${string} at ${address}`).join(", ");
      return `${rule} matches ${process.name} (${process.pid})${places === "" ? "" : `: ${places}`}`;
    });
    if (foundOnly) return lines;
    for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    const statistics = result.statistics as Statistics | null;
    if (statistics) {
      const { processcount, memoryread, totalhits, exectime } = statistics;
      lines.push(`stat: ${totalhits} found in ${processcount} processes, ${memoryread} bytes in ${exectime}`);
    }
    return lines;
  }

  paramsParser(args: readonly string[]): Parameters {
    const { rules, name, pid, t } = parseFlags(args, { rules: "text", name: "texts", pid: "texts", t: "number" }, HELP);
    if (rules === undefined) throw new Error("-rules names the file with the rules");
    const pids = (pid ?? []).map(Number);
    const given = { rules: readFileSync(rules, "utf8"), names: name ?? [], pids };
    return this.accept(t === undefined ? given : { ...given, timeout: t });
  }
}

/** A folder that only its owner sees, in memory; it goes also when this process ends. */
class MemoryFolder {
  readonly #path: string;
  readonly #onExit = (): void => this.remove();

  constructor() {
    const parent = FOLDERS.find((path) => path !== undefined && isInMemory(path));
    if (parent === undefined) throw new Error("there is no tmpfs for memory of the guest: mount one at /dev/shm");
    this.#path = mkdtempSync(join(parent, "rebox-yara-"));
    process.on("exit", this.#onExit);
  }

  write(name: string, text: string): string {
    const file = join(this.#path, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  remove(): void {
    process.off("exit", this.#onExit);
    rmSync(this.#path, { recursive: true, force: true });
  }
}

function isInMemory(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS_MAGIC;
  } catch {
    return false;
  }
}

/** Reads lines such as "RULE FILE" and "0x12:5:$name", and turns places in the file into addresses. */
function toElements(output: string, pieces: readonly Piece[], process: Element["process"]): Element[] {
  const elements: { rule: string; matches: Match[]; hasCrossing: boolean }[] = [];
  for (const line of output.split("\n")) {
    const [, offset, length, string] = /^0x([0-9a-f]+):(\d+):(\$\w*)$/.exec(line) ?? [];
    const last = elements.at(-1);
    if (string === undefined) {
      const rule = /^(\w+) /.exec(line)?.[1];
      if (rule !== undefined) elements.push({ rule, matches: [], hasCrossing: false });
    } else if (last) {
      const [at, size] = [parseInt(offset as string, 16), Number(length)];
      const piece = findPiece(pieces, at);
      if (!piece || at + size > piece.at + piece.size) last.hasCrossing = true;
      else if (last.matches.length < MOST_MATCHES) {
        last.matches.push({
          string,
          address: `0x${(piece.address + BigInt(at - piece.at)).toString(16)}`,
          length: size,
        });
      }
    }
  }
  return elements
    .filter(({ matches, hasCrossing }) => matches.length > 0 || !hasCrossing)
    .map(({ rule, matches }) => ({ rule, process, matches }));
}

/** The last piece that begins at or before a place. */
function findPiece(pieces: readonly Piece[], at: number): Piece | undefined {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle] as Piece).at <= at) low = middle + 1;
    else high = middle;
  }
  return pieces[low - 1];
}

registerInvestigation("yara", { newRun: (context) => new Yara(context) });
