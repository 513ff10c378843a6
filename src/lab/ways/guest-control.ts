import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Engine } from "../../machine/engine/engine";
import { WayInError } from "../errors";
import { callGuestAgent } from "../machinery/drivers/qemu/guest-agent-socket";
import { insertDisc, removeDisc } from "../machinery/drivers/qemu/machine-disks";
import { openSocket } from "../machinery/drivers/qemu/socket-path";
import { ConsoleWay } from "./console-way";
import { GuestAgentWay } from "./guest-agent-way";
import type { GuestProgram, GuestWay, ScriptResult } from "./guest-way";

const DEFAULT_LIMIT_MS = 120_000;

/** How a script reaches its guest. */
export interface GuestControlOptions {
  /**
   * The Unix socket of a serial port on which a shell or a login waits: `-serial unix:PATH,server=on,wait=off`. Without this and
   * guestAgent it is the one such port that the machine has.
   */
  readonly console?: string;
  /** Who logs in where the console asks for it. */
  readonly user?: { readonly name: string; readonly password?: string };
  /** The Unix socket of the port of QEMU's guest agent, in place of a console. */
  readonly guestAgent?: string;
  /** How long the guest may take to answer, its boot included, in milliseconds; 120,000 by default. */
  readonly limitMs?: number;
  /** Gives up, and ends what is under way. */
  readonly signal?: AbortSignal;
}

/** A character device of QEMU (qapi/char.json, ChardevInfo). */
interface CharacterDevice {
  readonly label: string;
  readonly filename: string;
}

/**
 * Programs and files of the guest that the process's own machine runs, a Linux, from a script. What is asked for is done one after
 * the other: a console has one shell.
 */
export class GuestControl {
  /** The end of the last call. */
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly way: GuestWay,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Waits until the guest answers. The machine has to run meanwhile.
   *
   * @throws AnalysisError when it does not, or when the machine has no such port, or several; MachineryConnectionError when the
   *   socket cannot be opened; GuestGoneError when the machine went off
   */
  static async open(options: GuestControlOptions = {}): Promise<GuestControl> {
    const { guestAgent, user, limitMs = DEFAULT_LIMIT_MS, signal = new AbortController().signal } = options;
    if (guestAgent !== undefined) {
      const call = (command: string, args: object, ms: number, own: AbortSignal): Promise<unknown> =>
        callGuestAgent(guestAgent, command, args, ms, own);
      return new GuestControl(await GuestAgentWay.open(call, limitMs, signal), signal);
    }
    const execute = (command: string, args: object): Promise<unknown> => Engine.get().qmp(command, args);
    const socket = options.console ?? (await findConsole());
    const way = await ConsoleWay.open(
      {
        name: "console",
        open: (own) => openSocket(socket, "the guest's serial console", own),
        user: user && { name: user.name, password: user.password },
        drive: { insert: (path) => insertDisc(execute, path), remove: (own) => removeDisc(execute, own) },
      },
      limitMs,
      signal,
    );
    return new GuestControl(way, signal);
  }

  /**
   * Runs a program in the guest, and waits for its end, however long that takes. Its input is empty.
   *
   * @param program its name or path
   * @returns its exit status, as a shell's $?, and what it wrote, standard error included
   * @throws GuestGoneError when the machine goes off before; WayInError when the guest does not answer as expected
   */
  runInGuest(
    program: string,
    args: readonly string[] = [],
    options: Omit<GuestProgram, "program" | "args"> = {},
  ): Promise<ScriptResult> {
    return this.inTurn(() => this.way.run({ program, args, ...options }, this.signal));
  }

  /**
   * Copies a file or folder of this host into the guest.
   *
   * @param to absolute; a folder that is there gets the file under its own name
   * @throws AnalysisError, or MachineryError, that says where that failed; GuestGoneError
   */
  copyToGuest(from: string, to: string): Promise<void> {
    return this.inTurn(async () => {
      const folder = mkdtempSync(join(tmpdir(), "rebox-copy-"));
      try {
        await this.way.put({ from: resolve(from), to, folder }, this.signal);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  /**
   * Reads a file of the guest.
   *
   * @param path absolute
   * @param limit the largest that is read, in bytes; 1 MiB by default
   * @throws WayInError when it cannot be read, or is larger; GuestGoneError
   */
  copyFromGuest(path: string, limit?: number): Promise<Buffer> {
    return this.inTurn(() => this.way.readFile(path, this.signal, limit));
  }

  /** Gives the port back. The guest goes on. */
  close(): void {
    this.way.close();
  }

  private inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = this.last.then(act, act);
    this.last = turn.catch(() => undefined);
    return turn;
  }
}

/** Finds the path of the only serial port with a Unix socket of its own. */
async function findConsole(): Promise<string> {
  const devices = (await Engine.get().qmp("query-chardev")) as readonly CharacterDevice[];
  // qemu_chr_compute_filename() of chardev/char-socket.c; serial_hd() labels them.
  const found = devices.flatMap(({ label, filename }) =>
    label.startsWith("serial") ? (/^(?:disconnected:)?unix:(.*?),server/.exec(filename)?.[1] ?? []) : [],
  );
  if (found.length === 1) return found[0]!;
  throw new WayInError(
    found.length === 0
      ? "the machine has no serial port that a script could open: -serial unix:PATH,server=on,wait=off"
      : `the machine has ${found.length} serial ports with a socket (${found.join(", ")}): say which, { console: PATH }`,
  );
}
