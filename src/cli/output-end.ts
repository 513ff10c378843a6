import type { EventEmitter } from "node:events";
import { ExitStatus, getSignalStatus } from "./exit-status";

/** The part of a process that the end of its output needs. */
export interface OutputProcess extends EventEmitter {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Ends the process at once. */
  exit(status: number): void;
}

/**
 * Ends a process whose output nobody takes any more, as `head` does with a pipe: quietly, with the status of a program that SIGPIPE has
 * ended, which is 141. Node ignores that signal, so each write fails instead. An output that fails in another way, such as a full
 * disk, is named on standard error, and the status is 1.
 *
 * A command that has more to do then, such as stopping a guest, listens to the streams itself, or to SIGHUP: it gets "SIGPIPE"
 * as the signal's name. The listeners stay: later writes fail too.
 */
export function endWithOutput(process: OutputProcess): void {
  let hasFailed = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      const isOfCommand = stream.listenerCount("error") > 1;
      if (isOfCommand || hasFailed) return;
      hasFailed = true;
      if (error.code === "EPIPE") {
        if (!process.emit("SIGHUP", "SIGPIPE")) process.exit(getSignalStatus("SIGPIPE"));
        return;
      }
      process.stderr.write(`rebox: the output cannot be written: ${error.message}\n`);
      process.exit(ExitStatus.failure);
    });
  }
}

/** Waits until what was written to standard output has been taken, or has failed: the failure is reported to endWithOutput() then. */
export async function flushOutput({ stdout }: OutputProcess): Promise<void> {
  await new Promise<void>((resolve) => stdout.write("", () => setImmediate(resolve)));
}
