import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";
import { defaultKit, type GuestKit } from "./guest-kits";
import { getReadyFolder } from "./ready-folder";
import { machineArgs, RecordingFolder } from "./recording-run";

/** A recording that tests share: the guest kit boots, and switches itself off. Nobody writes into it. */
export interface ReadyRecording {
  readonly folder: string;
  /** What the guest has said. */
  readonly console: string;
  readonly instructions: number;
}

/** Gets the recording of a kit; the first test that needs it makes it. */
export async function getReadyRecording(kit: GuestKit = defaultKit()): Promise<ReadyRecording> {
  const files = [kit.kernel, kit.initramfs, join(PROJECT, "src/machine/recording/manifest.ts")];
  const bound = { name: "recording", facts: machineArgs("", "poweroff", [], kit), files };
  const folder = await getReadyFolder(bound, (making) => make(making, kit));
  const { instructions } = JSON.parse(readFileSync(join(folder, "facts"), "utf8")) as { instructions: number };
  return { folder: join(folder, "one"), console: readFileSync(join(folder, "console"), "latin1"), instructions };
}

async function make(folder: string, kit: GuestKit): Promise<void> {
  using recordings = new RecordingFolder();
  const recorded = await recordings.record("one", (console) => machineArgs(console, "poweroff", [], kit));
  if (recorded.status !== 0) throw new Error(`the recording cannot be made: ${recorded.stderr}`);
  cpSync(recordings.place("one"), join(folder, "one"), { recursive: true });
  writeFileSync(join(folder, "console"), recorded.console, "latin1");
  writeFileSync(join(folder, "facts"), JSON.stringify({ instructions: Number(recorded.detail["instructions"]) }));
}
