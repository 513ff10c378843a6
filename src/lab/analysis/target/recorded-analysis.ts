import { renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { isYes } from "../../../config/named-values";
import { ANALYSIS_RECORDING } from "../../../machine/recording/recorded-machine";
import { getRecordedDisc } from "../../machinery/drivers/qemu/machine-start";
import type { Machinery } from "../../machinery/machinery";
import type { MachineFacts } from "../../machinery/records/lab-machine";
import type { NetworkChoice } from "../../network/network-choice";
import { type GuestDisc, makeGuestDisc } from "../../ways/guest-disc";

/** The option of an analysis that keeps a recording: `record=yes`. */
export const RECORD_OPTION = "record";

/** The recording that an analysis keeps. */
export interface AnalysisRecording {
  readonly folder: string;
  /** The file that the machine is given; it has it from its start. */
  readonly target: string | undefined;
}

/** Returns the recording that an analysis keeps; undefined when its options ask for none. @param folder of the analysis */
export function findAnalysisRecording(
  folder: string,
  target: string | undefined,
  options: Readonly<Record<string, string>>,
): AnalysisRecording | undefined {
  return isYes(options[RECORD_OPTION]) ? { folder: join(folder, ANALYSIS_RECORDING), target } : undefined;
}

/** Finds why an analysis cannot be left to a host of a cluster; undefined when it can. */
export function findHostProblem(options: Readonly<Record<string, string>>): string | undefined {
  if (!isYes(options[RECORD_OPTION])) return undefined;
  return (
    "no recording can be kept of an analysis that hosts of a cluster make: a replay needs the files of the machine where they are; " +
    "leave --record out, or analyse in a lab without a cluster"
  );
}

/** Finds why a run of a machine cannot be recorded; undefined when it can. What its own arguments have is refused at its start. */
export function findRecordingProblem(
  { wayIn, settings, machineryName }: MachineFacts,
  machinery: Machinery,
  network: NetworkChoice["kind"] | undefined,
): string | undefined {
  if (!machinery.capabilities.recording) return `the machinery ${machineryName} records none; use a machine of rebox`;
  if (wayIn === "guest-agent")
    return "QEMU's recorder cannot order what comes by the guest agent; set way_in to console";
  const { cpus } = settings as { readonly cpus?: number };
  if (cpus !== undefined && cpus > 1) return `it has ${cpus} processors, and QEMU's recorder orders one; set cpus to 1`;
  if (network === "bridge")
    return "the guest sees what the bridge's side can do; use the network simulated, user or none";
  return undefined;
}

/** Makes the disc with a target that a recorded machine has from its start: it stays, since a replay reads it again. */
export async function makeRecordedDisc(
  { folder, target }: AnalysisRecording,
  signal: AbortSignal,
): Promise<GuestDisc | undefined> {
  if (target === undefined) return undefined;
  const disc = await makeGuestDisc(target, dirname(folder), signal);
  const path = getRecordedDisc(folder);
  renameSync(disc.path, path);
  return { ...disc, path };
}
