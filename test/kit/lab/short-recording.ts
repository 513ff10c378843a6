import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { text as readText } from "node:stream/consumers";
import { join } from "node:path";
import { defaultKit, type GuestKit } from "../guests/guest-kits";
import { getReadyFolder } from "../guests/ready-folder";
import type { ReadyRecording } from "../guests/ready-recording";
import { PROJECT, REBOX } from "../project";
import { consoleMachine } from "./analyze-run";
import { getGoldenFolder } from "./ready-lab";

/** The lines that are typed at the prompt: files, programs, pauses, and something to read in between. */
const WORK = [
  "work() { for i in 1 2 3; do dd if=/dev/urandom of=/tmp/f$i bs=4k count=20 2> /dev/null; done; cat /tmp/f? | md5sum; (exit 3); }",
  "for turn in 1 2 3 4 5 6; do work; sleep 0.2; echo rebox-guest: turn=$turn > /dev/console; done",
  "echo rebox-guest: poweroff.done=1; poweroff -f",
];

/** The arguments that the golden state of a console machine was made with, but for the ends of its port. */
function listArgs(settings: readonly string[]): string[] {
  const find = (name: string) =>
    settings.find((line) => line.startsWith(`${name}: `))!.slice(name.length + 2).replace(/^"(.*)"$/, "$1"); // prettier-ignore
  return [
    ...["-device", "vmgenid,guid=6b2f4b1e-2f0c-4a53-9d15-2f5a5d8f2a11"],
    ...["-m", find("memory"), "-smp", "1", "-display", "none", "-nic", "none", "-serial", "stdio"],
    ...["-kernel", find("kernel"), "-initrd", find("initrd"), "-append", find("append"), "-no-reboot"],
  ];
}

/**
 * Gets a recording of some hundred million instructions, which begins from a golden state: the guest works for a while and switches
 * itself off. The first test that needs it makes it; nobody writes into it.
 */
export async function getShortRecording(kit: GuestKit = defaultKit()): Promise<ReadyRecording> {
  const { kernel, initramfs } = kit;
  const settings = consoleMachine([], kit);
  const bound = {
    name: "short-recording",
    facts: [WORK, listArgs(settings)],
    files: [kernel, initramfs, join(PROJECT, "src/machine/recording/manifest.ts")],
  };
  const folder = await getReadyFolder(bound, (making) => make(making, settings));
  const { instructions } = JSON.parse(readFileSync(join(folder, "facts"), "utf8")) as { instructions: number };
  return { folder: join(folder, "one"), console: readFileSync(join(folder, "console"), "latin1"), instructions };
}

async function make(folder: string, settings: readonly string[]): Promise<void> {
  const golden = await getGoldenFolder({ name: "g", settings });
  const [place, log] = [join(folder, "one"), join(folder, "log.json")];
  mkdirSync(folder, { recursive: true });
  const args = [REBOX, "record", "-o", place, "--golden", golden, "--json", log, "--", ...listArgs(settings)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.write(`${WORK.join("\n")}\n`);
  const [console, said] = await Promise.all([readText(child.stdout), readText(child.stderr), once(child, "exit")]);
  child.stdin.destroy();
  const lines = readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const detail = lines.map((line) => JSON.parse(line) as { type: string; instructions?: number }).find(({ type }) => type === "recording"); // prettier-ignore
  if (child.exitCode !== 0 || detail?.instructions === undefined)
    throw new Error(`the recording cannot be made: ${said}${console}`);
  writeFileSync(join(folder, "console"), console, "latin1");
  writeFileSync(join(folder, "facts"), JSON.stringify({ instructions: detail.instructions }));
}
