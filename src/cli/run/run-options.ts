import { type Command, InvalidArgumentError, Option } from "commander";
import { CALLBACK_LIMIT_RANGE_MS } from "../../config/rebox-config";
import { parseMonitor } from "./sockets";

/** Node's timers cannot wait longer than this, in milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Adds the options of a run that no command lacks: scripts, shells, output and limits. */
export function addRunOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "configuration file (default: ./pyrebox.conf when there is one)")
    .option("--script <file>", "load a script, after those of [MODULES]; may be given more than once", append)
    .option("--trust", "run the files of --script outside the sandbox: they may do all that you may")
    .option("--watch", "reload a script when it, or a file that it imports, is saved")
    .option("--control <path>", "let rebox attach open shells on this guest, through a unix socket")
    .option(
      "--shell",
      "a shell: the terminal UI at a terminal, else plain lines of standard input: docs/reference/shell.md",
    )
    .option("--ui", "the terminal UI: docs/reference/terminal-ui.md")
    .option("--plain", "the shell reads plain lines, also at a terminal")
    .addOption(new Option("--behind-ui <socket>").hideHelp())
    .option("--investigate <module>", "start a persistent module; may be given more than once", append)
    .option("--investigate-conf <folder>", "where MODULE.cfg of persistent modules is (conf)")
    .option("--private", "have investigations mask what modules call private, whoever asks")
    .option("--timeout <seconds>", "stop after that many seconds", readTimeout)
    .option("--json <file>", "write one JSON line per message and event; - is standard output")
    .option("--callback-limit <ms>", "cut off a callback that runs longer than that many milliseconds", readLimit);
}

/** Adds the option for QEMU's monitor. */
export function addMonitorOption(command: Command): Command {
  return command.option("--monitor <where>", "QEMU's monitor: stdio, none or unix:PATH", (text) => parseMonitor(text));
}

function append(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

/** Reads seconds, returns milliseconds. */
function readTimeout(text: string): number {
  const timeoutMs = Math.round(Number(text) * 1000);
  if (!/^\d+(\.\d+)?$/.test(text) || timeoutMs < 1 || timeoutMs > LONGEST_TIMER_MS) {
    throw new InvalidArgumentError(
      `It must be a number of seconds from 0.001 to ${Math.floor(LONGEST_TIMER_MS / 1000)}.`,
    );
  }
  return timeoutMs;
}

function readLimit(text: string): number {
  const { minimum, maximum } = CALLBACK_LIMIT_RANGE_MS;
  const limitMs = Number(text);
  if (!/^\d+$/.test(text) || limitMs < minimum || limitMs > maximum) {
    throw new InvalidArgumentError(`It must be a whole number of milliseconds from ${minimum} to ${maximum}.`);
  }
  return limitMs;
}
