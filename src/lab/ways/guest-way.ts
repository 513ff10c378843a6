import { rmSync } from "node:fs";
import { WayInError } from "../errors";
import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import type { WayName } from "../machinery/records/lab-machine";
import { type GuestDisc, makeGuestDisc } from "./guest-disc";

/** A program for the guest. */
export interface GuestProgram {
  /** Its name or path. */
  readonly program: string;
  readonly args?: readonly string[];
  /** Variables that it gets beside those of the way in. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The user that it runs as; without it that of the way in. Another one needs root there. */
  readonly user?: string;
  /** Its working folder, absolute. */
  readonly folder?: string;
}

/** The end of a program or script, and what it wrote, standard error included; some is missing when it was much. */
export interface ScriptResult {
  /** As a shell's $?: 128 and the signal's number for a program that a signal has ended. */
  readonly status: number;
  readonly output: string;
}

/** A file or folder of this host that is to be in the guest. */
export interface CopyRequest {
  /** Of this host, absolute. */
  readonly from: string;
  /** In the guest, absolute; a folder that is there gets the file under its own name. */
  readonly to: string;
  /** Of this host, where what is sent is packed, and removed again. */
  readonly folder: string;
}

/** Everything that a guest needs before a target is executed in it. */
export interface GuestPreparation {
  /** Its clock is set to it, in milliseconds since 1970. A guest in which that may not be done keeps its own. */
  getTimeMs(): number;
  /** Commands for sh that look at the guest. */
  readonly look: string | undefined;
  /** The guest has it then, as by receive(). */
  readonly disc: GuestDisc | undefined;
}

/** In bytes; a longer script belongs in a file. */
const LONGEST_SCRIPT = 64 << 10;
/** The largest file that readFile() reads without another limit, in bytes. */
const MOST_FILE = 1 << 20;

/**
 * A way into a running Linux guest that has a POSIX shell with the tools that busybox has. Every function ends when its signal
 * says so, and throws GuestGoneError when the guest, or the way into it, is no longer there.
 */
export abstract class GuestWay {
  abstract readonly name: WayName;

  /**
   * Runs a script, and waits for its end, however long that takes. Its input is empty.
   *
   * @param script for sh; it does not end the shell
   * @throws GuestGoneError when the machine goes off before; WayInError when the guest does not answer as expected
   */
  abstract runScript(script: string, signal: AbortSignal): Promise<ScriptResult>;

  /** Brings what is on a disc into the guest: it is in /tmp then, in the disc's folder, and may be executed. */
  abstract receive(disc: GuestDisc, signal: AbortSignal): Promise<void>;

  /**
   * Prepares a guest for a target.
   *
   * @returns the exit status of the look; undefined without one
   */
  async prepare({ getTimeMs, look, disc }: GuestPreparation, signal: AbortSignal): Promise<number | undefined> {
    await this.setClock(getTimeMs(), signal);
    const seen = look === undefined ? undefined : await this.runScript(`(${look})`, signal);
    if (disc !== undefined) await this.receive(disc, signal);
    return seen?.status;
  }

  /**
   * Reads a file of the guest.
   *
   * @param path absolute
   * @param limit the largest that is read, in bytes
   * @throws WayInError when it cannot be read, or is larger
   */
  abstract readFile(path: string, signal: AbortSignal, limit?: number): Promise<Buffer>;

  /** Gives the way back. The guest continues. */
  close(): void {}

  /** Runs a program, and waits for its end, however long that takes. Its input is empty. @throws as runScript() does */
  run(program: GuestProgram, signal: AbortSignal): Promise<ScriptResult> {
    return this.runScript(`(${writeInvocation(program)})`, signal);
  }

  /**
   * Sets the guest's clock. A guest in which that may not be done keeps its own.
   *
   * @param timeMs in milliseconds since 1970
   */
  async setClock(timeMs: number, signal: AbortSignal): Promise<void> {
    await this.setClockByDate(timeMs, signal);
  }

  /** Has the guest's `date` set its clock, and returns whether it did. */
  protected async setClockByDate(timeMs: number, signal: AbortSignal): Promise<boolean> {
    const { status } = await this.runScript(`(${writeDate(timeMs)} >/dev/null 2>&1)`, signal);
    return status === 0;
  }

  /** Copies a file or folder of this host into the guest. @throws WayInError that says where that failed */
  async put({ from, to, folder }: CopyRequest, signal: AbortSignal): Promise<void> {
    const disc = await makeGuestDisc(from, folder, signal);
    try {
      await this.receive(disc, signal);
      const place = quoteForShell(to);
      const result = await this.runScript(
        `(mkdir -p "$(dirname ${place})" && mv /tmp/${disc.folder}/${disc.name} ${place} && rmdir /tmp/${disc.folder})`,
        signal,
      );
      if (result.status !== 0) throw new WayInError(`the guest cannot put ${from} to ${to}: ${result.output.trim()}`);
    } finally {
      rmSync(disc.path, { force: true });
    }
  }
}

/** Writes the command that sets the guest's clock, to the second. */
export function writeDate(timeMs: number): string {
  return `date -u -s @${Math.floor(timeMs / 1000)}`;
}

/** The limit of readFile() where none is given, in bytes. */
export function getReadLimit(limit: number | undefined): number {
  return limit ?? MOST_FILE;
}

/** @throws WayInError for a script that is too long */
export function checkScript(script: string): void {
  const size = Buffer.byteLength(script);
  if (size <= LONGEST_SCRIPT) return;
  throw new WayInError(`a command of ${size} bytes is too long; put it into a file: --target`);
}

/** Writes a line for sh that becomes the program. */
function writeInvocation({ program, args = [], environment = {}, user, folder }: GuestProgram): string {
  for (const name of Object.keys(environment)) {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw new WayInError(`${JSON.stringify(name)} is no name of a variable`);
  }
  const variables = Object.entries(environment).map(([name, value]) => quoteForShell(`${name}=${value}`));
  const words = [...(variables.length === 0 ? [] : ["env", ...variables]), ...[program, ...args].map(quoteForShell)];
  const line = `${folder === undefined ? "" : `cd ${quoteForShell(folder)} && `}exec ${words.join(" ")}`;
  const started = user === undefined ? line : `exec su -s /bin/sh -c ${quoteForShell(line)} -- ${quoteForShell(user)}`;
  return `${started} </dev/null`;
}
