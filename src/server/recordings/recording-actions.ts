import type { z } from "zod";
import type { Doer } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { describeRecording, type LabRecording, listRecordings } from "./list-recordings";
import type { MOMENT } from "./replays";

/** Of analyses, the newest: a lab may have a hundred thousand. */
const MOST_ANALYSES = 2_000;

/** Lists the recordings of a lab, the newest first. */
export function listLabRecordings({ labFolder, search }: ServerParts): LabRecording[] {
  const analyses = search.list({}, MOST_ANALYSES).map(({ id }) => id);
  return listRecordings(labFolder, analyses);
}

/** Goes to a moment of a recording, and asks there. @throws NotThereError, ConflictError, BusyError */
export async function askAtMoment(
  parts: ServerParts,
  { caller, address }: Doer,
  name: string,
  moment: z.infer<typeof MOMENT>,
): Promise<string> {
  const recording = describeRecording(parts.labFolder, name);
  parts.accounts.audit.add(caller.user, address, "replay recording", `${name} up to ${moment.at}`);
  return parts.replays.ask(recording, moment);
}
