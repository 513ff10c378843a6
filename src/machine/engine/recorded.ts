import { RecordedError } from "../errors";
import { type NativeAddon, RecordingMode } from "./native";

/** What says whether the guest is recorded; undefined when no machine runs. */
type Recorder = Pick<NativeAddon, "recordingMode">;

/** Commands of QMP that change nothing of the guest. Others than these and `query-...` are refused while it is recorded. */
const HARMLESS_COMMANDS = new Set([
  ...["stop", "cont", "quit", "qmp_capabilities", "screendump", "dump-guest-memory", "memsave", "pmemsave"],
  ...["qom-get", "qom-list", "qom-list-types", "qom-list-properties", "trace-event-get-state"],
  ...["nbd-server-start", "nbd-server-stop", "block-export-add", "block-export-del"],
  ...["replay-break", "replay-delete-break", "restore-state", "go-live"],
]);

/** Commands of QMP that give the guest input, which is recorded. */
const INPUT_COMMANDS = new Set(["send-key", "input-send-event"]);

/** The same of QEMU's monitor for people. */
const HARMLESS_LINES = new Set([
  ...["info", "x", "xp", "print", "p", "help", "?", "stop", "s", "cont", "c", "quit", "q", "screendump", "sum"],
  ...["memsave", "pmemsave", "dump-guest-memory", "log", "logfile", "gva2gpa", "gpa2hva"],
]);
const INPUT_LINES = new Set(["sendkey", "mouse_move", "mouse_button"]);

/**
 * Checks that a guest may be changed from outside.
 *
 * @param what is to be done, as a sentence without its reason: "RAX cannot be written"
 * @throws RecordedError when it is recorded or replayed
 */
export function checkMayChange(native: Recorder | undefined, what: string): void {
  if ((native?.recordingMode() ?? RecordingMode.None) !== RecordingMode.None) throw new RecordedError(what);
}

/** Checks that a guest may get input: it is recorded, but in a replay it comes from the recording. @throws RecordedError */
export function checkMayGetInput(native: Recorder | undefined, what: string): void {
  if (native?.recordingMode() === RecordingMode.Replaying) throw new RecordedError(what);
}

/**
 * Checks that a command of QMP leaves a recorded or replayed guest as it is.
 *
 * @throws RecordedError when it might not
 */
export function checkMayExecute(native: Recorder, command: string, args?: object): void {
  if (native.recordingMode() === RecordingMode.None) return;
  if (command === "human-monitor-command") {
    const line = String((args as { "command-line"?: unknown } | undefined)?.["command-line"]);
    return checkWord(native, line.trim().split(/[\s/]/)[0] ?? "", HARMLESS_LINES, INPUT_LINES);
  }
  if (command.startsWith("query-") || command.startsWith("x-query-")) return;
  if (command === "block-export-add" && (args as { writable?: unknown } | undefined)?.writable === true) {
    throw new RecordedError("the guest's disk cannot be written");
  }
  checkWord(native, command, HARMLESS_COMMANDS, INPUT_COMMANDS);
}

function checkWord(
  native: Recorder | undefined,
  word: string,
  harmless: ReadonlySet<string>,
  input: ReadonlySet<string>,
): void {
  if (harmless.has(word)) return;
  const refusal = `QEMU's command ${word} cannot be given`;
  if (input.has(word)) checkMayGetInput(native, refusal);
  else checkMayChange(native, refusal);
}
