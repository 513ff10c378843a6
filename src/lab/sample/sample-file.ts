import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../machinery/records/machine-file";
import { readSampleFacts, type SampleFacts } from "./sample-facts";

const FILE = "sample.json";

/**
 * Writes the facts of a sample into the folder of its analysis. It never rejects.
 *
 * @param target the path of the sample
 * @param warn is told why there are none
 */
export async function writeSampleFacts(target: string, folder: string, warn: (text: string) => void): Promise<void> {
  try {
    writeWhole(join(folder, FILE), `${JSON.stringify(await readSampleFacts(target), undefined, 1)}\n`);
  } catch (error) {
    warn(`the target's own facts cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Finds the facts of the sample of an analysis; undefined where there are none. */
export function findSampleFacts(folder: string): SampleFacts | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, FILE), "utf8")) as SampleFacts;
  } catch {
    return undefined;
  }
}
