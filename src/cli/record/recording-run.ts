import { statSync } from "node:fs";
import { resolve } from "node:path";
import { countInstructionsBy } from "../../config/moment";
import { loadAddon } from "../../machine/engine/load-addon";
import { getLogPath } from "../../machine/recording/recorded-machine";
import { prepareRecording } from "../../machine/recording/recorder";
import type { MadeFolder } from "../../machine/recording/recording-folder";
import type { RunEnd } from "../run/run-end";
import type { RecordedOutcome, RecordedRun } from "../run/run-plan";

/** The recording of a run. */
export class RecordingRun implements RecordedRun {
  private readonly folder: string;
  /** The folder that was made, while nothing of the guest is in it. */
  private made: MadeFolder | undefined;

  /**
   * @param folder of the recording
   * @param args QEMU's arguments for the machine
   * @param golden the folder of the golden state that it begins from, if it does
   */
  constructor(
    folder: string,
    private readonly args: readonly string[],
    private readonly golden?: string,
  ) {
    this.folder = resolve(folder);
  }

  async prepare(): Promise<readonly string[]> {
    const { args, made } = await prepareRecording(this.folder, this.args, this.golden);
    this.made = made;
    return args;
  }

  watch(): void {
    this.made = undefined;
    countInstructionsBy(() => loadAddon().instructionCount());
  }

  describe(end: RunEnd): RecordedOutcome {
    const native = loadAddon();
    const instructions = native.instructionCount() ?? 0;
    const failure = native.recordingFailure();
    const bytes = statSync(getLogPath(this.folder), { throwIfNoEntry: false })?.size ?? 0;
    const size = `${(bytes / 1e6).toFixed(1)} MB`;
    const detail = { folder: this.folder, instructions, logBytes: bytes, ...(failure === "" ? {} : { failure }) };
    if (failure !== "") {
      const sentence =
        `the recording in ${this.folder} could not be written any further: ${failure}; the guest was stopped, and what was ` +
        `recorded until then can be replayed (${size})`;
      return { sentence, detail, hasFailed: true };
    }
    const isWhole = end.kind !== "engine" || end.end.reason !== "crashed";
    const cut = isWhole ? "" : ", up to where the engine crashed";
    return {
      sentence: `recorded ${instructions} instructions in ${this.folder} (${size})${cut}`,
      detail,
      hasFailed: false,
    };
  }

  close(): void {
    // QEMU has refused its arguments: there is nothing to replay.
    this.made?.remove();
    this.made = undefined;
  }
}
