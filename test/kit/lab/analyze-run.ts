import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type AnalysisRecord, readRecord } from "../../../src/lab/analysis/analysis-record";
import { findMarked, MARK } from "../../../src/lab/analysis/marked-processes";
import { getProcessMark } from "../../../src/lab/analysis/analysis-places";
import { QmpClient } from "../../../src/lab/machinery/drivers/qemu/qmp-client";
import { runRebox } from "../guests/guest-run";
import { defaultKit, type GuestKit } from "../guests/guest-kits";
import { type TestLab, untilTrue } from "./lab-run";
import { REBOX } from "../project";

const LIMIT_MS = 240_000;

/** The target whose acts are known: native/guest/targets/sample.c. */
export const SAMPLE = join(defaultKit().kernel, "../targets/sample");

/** The settings of a machine with the guest kit that waits with a shell on its console, each in a line. */
export function consoleMachine(more: readonly string[] = [], kit: GuestKit = defaultKit()): string[] {
  const { kernel, initramfs } = kit;
  const append = "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=console";
  return [
    ...["platform: linux", `kernel: ${kernel}`, `initrd: ${initramfs}`, `append: "${append}"`, "memory: 256M"],
    ...more,
  ];
}

/** Writes machines as a machinery's YAML file. */
export function yamlOf(machines: Readonly<Record<string, readonly string[]>>): string {
  const lines = Object.entries(machines).flatMap(([name, settings]) => [
    `  ${name}:`,
    ...settings.map((each) => `    ${each}`),
  ]);
  return `machines:\n${lines.join("\n")}\n`;
}

/**
 * Has a machine boot to its prompt, and makes the snapshot there that its setting `snapshot_path` names.
 *
 * @param prompt what its console shows then
 */
export async function makeSnapshot(lab: TestLab, machine: string, snapshot: string, prompt = /\/ # /): Promise<void> {
  const signal = new AbortController().signal;
  // A lab leaves machines out whose snapshot is not there, or is none: this is how a migration stream begins.
  writeFileSync(lab.path(snapshot), "QEVM");
  const { manager } = await lab.open();
  const begun = await manager.request("norestoreStart", machine);
  if (!begun.success) throw new Error(begun.reason);
  await lab.until(`state/${machine}/console.log`, prompt);
  const client = await QmpClient.connect(lab.path(`state/${machine}/qmp.sock`), 30_000, signal);
  const ask = (command: string, args = {}) => client.execute(command, args, 30_000, signal);
  await ask("migrate", { uri: `exec:cat > ${lab.path(snapshot)}` });
  await untilTrue(async () => ((await ask("query-migrate")) as { status: string }).status === "completed");
  client.close();
  await manager.request("stop", machine);
}

/** Runs `rebox analyze` in a lab to its end. */
export function analyze(lab: TestLab, ...args: readonly string[]) {
  return runRebox(["analyze", "--lab", lab.folder, ...args], LIMIT_MS);
}

/** A `rebox analyze` that goes on. */
export interface RunningAnalyze {
  readonly child: ChildProcess;
  /** Its status, or its signal, and what it has printed. */
  readonly ended: Promise<{ readonly end: number | NodeJS.Signals | null; readonly output: string }>;
}

/** Starts `rebox analyze` in a lab. */
export function startAnalyze(lab: TestLab, ...args: readonly string[]): RunningAnalyze {
  const child = spawn(process.execPath, [REBOX, "analyze", "--lab", lab.folder, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (output += String(text)));
  const ended = new Promise<{ end: number | NodeJS.Signals | null; output: string }>((settle) =>
    child.once("close", (status, signal) => settle({ end: signal ?? status, output })),
  );
  return { child, ended };
}

/** Reads the record of an analysis. */
export function recordOf(lab: TestLab, id = 1): AnalysisRecord {
  return readRecord(lab.path(`analyses/${id}`));
}

/** Waits until an analysis is in a phase. */
export async function untilPhase(lab: TestLab, phase: string, id = 1): Promise<void> {
  await lab.until(`analyses/${id}/events.jsonl`, new RegExp(`"phase":"${phase}"`));
}

/** Lists the processes of an analysis that are there, with their command lines. */
export function processesOf(lab: TestLab, id = 1): { readonly pid: number; readonly line: string }[] {
  return findMarked(getProcessMark(lab.folder, id)).flatMap((pid) => {
    try {
      return [{ pid, line: readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ") }];
    } catch {
      return [];
    }
  });
}

/** Waits for the process of an analysis that has something in its command line. */
export async function untilProcess(lab: TestLab, part: string, id = 1): Promise<number> {
  for (;;) {
    const found = processesOf(lab, id).find(({ line }) => line.includes(part));
    if (found !== undefined) return found.pid;
    await sleep(20);
  }
}

/** Finds what a lab should not have when nothing goes on in it: processes of analyses, and files of theirs. */
export function findLeft(lab: TestLab): string[] {
  const marked = readdirSync("/proc").filter((name) => {
    try {
      return readFileSync(`/proc/${name}/environ`, "latin1").split("\0").some((each) => each.startsWith(`${MARK}=`) && each.endsWith(`@${lab.folder}`)); // prettier-ignore
    } catch {
      return false;
    }
  });
  const folders = existsSync(lab.path("analyses")) ? readdirSync(lab.path("analyses")) : [];
  const files = folders
    .filter((name) => /^\d+$/.test(name))
    .flatMap((id) => readdirSync(lab.path(`analyses/${id}`)).map((name) => `analyses/${id}/${name}`));
  const machines = readdirSync(lab.path("state")).flatMap((name) =>
    readdirSync(lab.path(`state/${name}`)).map((file) => `state/${name}/${file}`),
  );
  return [
    ...marked.map((pid) => `process ${pid}`),
    ...files.filter((name) => /\/\.|\.disc$|\.new$/.test(name)),
    ...machines.filter((name) => /\.(sock|pid|qcow2|new)$|process\.json/.test(name)),
  ];
}
