import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { takeLock } from "../../../src/lab/process-lock";
import { PROJECT } from "../project";
import { defaultKit, type GuestKit } from "./guest-kits";
import { machineArgs, RecordingFolder } from "./recording-run";

/** Below it lies a recording for each kit; another build of QEMU or of the kit makes another. */
const FOLDER = join(PROJECT, "build/guest/ready");
const LIMIT_MS = 600_000;

/** A recording that tests share: the guest kit boots, and switches itself off. Nobody writes into it. */
export interface ReadyRecording {
  readonly folder: string;
  /** What the guest has said. */
  readonly console: string;
  readonly instructions: number;
}

/** Gets the recording of a kit; the first test that needs it makes it. */
export async function getReadyRecording(kit: GuestKit = defaultKit()): Promise<ReadyRecording> {
  const folder = join(FOLDER, `recording-${getKey(kit)}`);
  if (!existsSync(folder)) {
    mkdirSync(FOLDER, { recursive: true });
    const owner = "a test that makes a recording";
    const giveBack = await takeLock(`${folder}.lock`, { timeoutMs: LIMIT_MS, owner });
    try {
      if (!existsSync(folder)) await make(folder, kit);
    } finally {
      await giveBack();
    }
  }
  const { instructions } = JSON.parse(readFileSync(join(folder, "facts"), "utf8")) as { instructions: number };
  return { folder: join(folder, "one"), console: readFileSync(join(folder, "console"), "latin1"), instructions };
}

function getKey(kit: GuestKit): string {
  const suffix = process.env.REBOX_BUILD === "asan" ? "-asan" : "";
  const library = realpathSync(join(PROJECT, `build/qemu${suffix}/libqemu-system-x86_64.so`));
  const hash = createHash("sha256").update(JSON.stringify(machineArgs("", "poweroff", [], kit)));
  for (const file of [library, kit.kernel, kit.initramfs, join(PROJECT, "src/machine/recording/manifest.ts")]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  return hash.digest("hex").slice(0, 16);
}

async function make(folder: string, kit: GuestKit): Promise<void> {
  using recordings = new RecordingFolder();
  const recorded = await recordings.record("one", (console) => machineArgs(console, "poweroff", [], kit));
  if (recorded.status !== 0) throw new Error(`the recording cannot be made: ${recorded.stderr}`);
  const making = `${folder}.making-${process.pid}`;
  cpSync(recordings.place("one"), join(making, "one"), { recursive: true });
  writeFileSync(join(making, "console"), recorded.console, "latin1");
  writeFileSync(join(making, "facts"), JSON.stringify({ instructions: Number(recorded.detail["instructions"]) }));
  renameSync(making, folder);
}
