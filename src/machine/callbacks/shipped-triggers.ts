import { existsSync } from "node:fs";
import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { TriggerError } from "../errors";
import { buildTrigger, findTriggerFile } from "./trigger-file";

const NAME = /triggers\/trigger_\w+/g;
/** The trigger of hooks with onCalls, which no script names: src/guest/hooking/call-recorder.ts. */
const RECORDED = /\bonCalls\b/;
const RECORDER = "triggers/trigger_call_record";

/**
 * Compiles the triggers of rebox's own that the code of a script names, where they are missing or old: within a callback, which has its
 * limit, the compiler may take too long. Those that do not compile are reported where they are added.
 */
export function buildNamedTriggers(code: string): void {
  const names = new Set([...code.matchAll(NAME)].map(([name]) => name));
  if (RECORDED.test(code)) names.add(RECORDER);
  for (const name of names) {
    try {
      const file = findTriggerFile(join(getProjectFolder(), name));
      if (file.source !== undefined && existsSync(file.source)) buildTrigger(file);
    } catch (error) {
      if (!(error instanceof TriggerError)) throw error;
    }
  }
}
