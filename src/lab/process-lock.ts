import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CancelledError } from "../config/errors";
import { MachineryManagerError } from "./errors";

export interface LockOptions {
  /** After which it is given up; 0 does not wait. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The name of its holder, for the message of those that wait in vain. */
  readonly owner: string;
}

/**
 * Takes a lock that only one process has at a time. The kernel's lock (flock(2)) is held by a child that lives as long as
 * our end of its standard input: however this process dies, nothing stale remains.
 *
 * @param file made when it is not there
 * @returns the function that gives it back
 * @throws MachineryManagerError naming who holds it; CancelledError
 */
export async function takeLock(file: string, options: LockOptions): Promise<() => Promise<void>> {
  const { timeoutMs, signal, owner } = options;
  // An event that has been is not heard of.
  if (signal?.aborted) throw new CancelledError(`waiting for ${file} was cancelled`);
  mkdirSync(dirname(file), { recursive: true });
  const wait = timeoutMs === 0 ? ["-n"] : ["-w", String(timeoutMs / 1000)];
  // In a session of its own: Ctrl-C is for us, and we still need the lock while we clean up.
  const holder = spawn("flock", [...wait, file, "sh", "-c", "echo held; exec cat"], {
    ...{ stdio: ["pipe", "pipe", "ignore"], detached: true },
  });
  const ended = once(holder, "exit").then(
    () => undefined,
    () => undefined,
  );
  const give = async () => {
    holder.ref();
    holder.stdin.destroy();
    await ended;
  };
  const onAbort = () => holder.kill("SIGKILL");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.stdin.on("error", () => undefined);
      holder.once("error", (error) =>
        reject(new MachineryManagerError(`cannot lock ${file}: ${error.message}; install util-linux`)),
      );
      holder.once("exit", () => {
        if (signal?.aborted) return reject(new CancelledError(`waiting for ${file} was cancelled`));
        const seconds = timeoutMs / 1000;
        reject(new MachineryManagerError(`${readHolder(file)} has been busy with it for more than ${seconds} s`));
      });
    });
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
  // A lock alone keeps no process alive.
  holder.unref();
  for (const pipe of [holder.stdin, holder.stdout]) (pipe as unknown as { unref(): void }).unref();
  writeFileSync(file, `${owner} (process ${process.pid})\n`);
  return give;
}

function readHolder(file: string): string {
  try {
    return readFileSync(file, "utf8").trim() || "another process";
  } catch {
    return "another process";
  }
}
