import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { GuestGoneError, WayInError } from "../errors";
import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import { checkCopied, copyFromDisc, type DiscDrive, writeCopyScript } from "./copy-from-disc";
import { GuestConsole } from "./guest-console";
import type { GuestDisc } from "./guest-disc";
import { joinKeyboard, redirectShell, type TypeKeys, writeTypedDate } from "./keyboard-console";
import { type ConsoleUser, GuestShell } from "./guest-shell";
import {
  checkScript,
  type CopyRequest,
  getReadLimit,
  type GuestPreparation,
  GuestWay,
  type ScriptResult,
  writeDate,
} from "./guest-way";
import { writeTypedFile } from "./typed-file";

/** The console keeps a megabyte of what is written on it; a file is longer there by a third, in bytes. */
const MOST_FILE = 512 << 10;

/** A guest's serial console. */
export interface ConsoleAccess {
  readonly name: "console" | "keyboard";
  open(signal: AbortSignal): Promise<Duplex>;
  /** Who logs in where the console asks for it. */
  readonly user: ConsoleUser | undefined;
  readonly drive: DiscDrive;
  /** Types on the machine's keyboard, where its serial port is only read. */
  typeKeys?: TypeKeys;
}

/**
 * The way in by what is typed on a shell of the guest's serial console, or on the keyboard to a shell that writes to the serial port. Nothing is installed in the guest; files come to it on a
 * disc.
 */
export class ConsoleWay extends GuestWay {
  private constructor(
    override readonly name: "console" | "keyboard",
    private readonly guestConsole: GuestConsole,
    private readonly shell: GuestShell,
    private readonly drive: DiscDrive,
    /** When the shell answered, by performance.now(). */
    private readonly answeredMs: number,
  ) {
    super();
  }

  /**
   * Waits until a shell answers.
   *
   * @param limitMs how long that may take
   * @throws GuestGoneError when the machine goes off before; AnalysisError that says what the console shows
   */
  static async open(access: ConsoleAccess, limitMs: number, signal: AbortSignal): Promise<ConsoleWay> {
    const { name, user, drive, typeKeys } = access;
    const serial = await access.open(signal);
    // Its life is the way's, not that of the opening.
    const end = new AbortController();
    serial.once("close", () => end.abort());
    const stream = typeKeys === undefined ? serial : joinKeyboard(serial, typeKeys, end.signal);
    const guestConsole = new GuestConsole(stream);
    try {
      let answeredMs = NaN;
      const shell = await guard(guestConsole, signal, async () => {
        if (typeKeys !== undefined) await redirectShell(guestConsole, user, limitMs, signal);
        answeredMs = performance.now();
        return GuestShell.open(guestConsole, user, limitMs, signal);
      });
      return new ConsoleWay(name, guestConsole, shell, drive, answeredMs);
    } catch (error) {
      guestConsole.close();
      throw error;
    }
  }

  async runScript(script: string, signal: AbortSignal): Promise<ScriptResult> {
    checkScript(script);
    const result = await guard(this.guestConsole, signal, () => this.shell.read(script, signal));
    if (result === undefined) throw new GuestGoneError("the guest's console has ended");
    return result;
  }

  async receive(disc: GuestDisc, signal: AbortSignal): Promise<void> {
    await guard(this.guestConsole, signal, () => this.drive.insert(disc.path, signal));
    await copyFromDisc(this, disc, signal);
  }

  /** As one script, and with a disc inserted before it is typed: the guest notices it meanwhile. */
  override async prepare(
    { getTimeMs, look, disc }: GuestPreparation,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    // Keys are slower.
    const typed = disc === undefined || this.name === "keyboard" ? undefined : writeTypedFile(disc);
    if (disc !== undefined && typed === undefined) {
      await guard(this.guestConsole, signal, () => this.drive.insert(disc.path, signal));
    }
    const mark = randomBytes(6).toString("hex");
    const date =
      this.name === "keyboard"
        ? writeTypedDate(getTimeMs() - (performance.now() - this.answeredMs))
        : writeDate(getTimeMs());
    const lines = [`(${date}) >/dev/null 2>&1`];
    // Twice: a message of the kernel may come in between.
    if (look !== undefined) lines.push(`(${look})`, `set -- $?`, `echo ${mark}=$1.`, `echo ${mark}=$1.`);
    if (disc !== undefined) lines.push(typed ?? writeCopyScript(disc));
    const result = await this.runScript(lines.join("\n"), signal);
    if (disc !== undefined) checkCopied(result);
    if (look === undefined) return undefined;
    const status = new RegExp(`${mark}=(\\d+)\\.`).exec(result.output)?.[1];
    if (status === undefined) throw new WayInError(`the guest's shell does not answer as one: ${result.output.slice(-300)}`); // prettier-ignore
    return Number(status);
  }

  override async put(request: CopyRequest, signal: AbortSignal): Promise<void> {
    try {
      await super.put(request, signal);
    } finally {
      await this.drive.remove(signal);
    }
  }

  async readFile(path: string, signal: AbortSignal, limit?: number): Promise<Buffer> {
    const place = quoteForShell(path);
    const most = Math.min(getReadLimit(limit), MOST_FILE);
    const mark = randomBytes(6).toString("hex");
    // Messages of the kernel may come in between: the checksum shows it. Busybox has no cksum everywhere.
    const script = `(
size=$(wc -c < ${place}) && set -- $(sha256sum < ${place}) || exit 1
[ -n "$1" ] || exit 1
echo "$1 $size ${mark}"
[ $size -gt ${most} ] || base64 ${place}
)`;
    for (let tries = 0; tries < 3; tries++) {
      const { status, output } = await this.runScript(script, signal);
      const [, sum, size] = new RegExp(`([0-9a-f]{64}) +(\\d+) ${mark}`).exec(output) ?? [];
      if (status !== 0 || size === undefined) throw new WayInError(`${path} cannot be read: ${output.trim()}`);
      if (Number(size) > most) throw new WayInError(`${path} has ${size} bytes; ${most} can be read on the console`);
      const bytes = Buffer.from(output.slice(output.indexOf(mark) + mark.length), "base64");
      if (createHash("sha256").update(bytes).digest("hex") === sum) return bytes;
    }
    throw new WayInError(`${path} does not arrive whole: other messages come between it on the console`);
  }

  override close(): void {
    this.guestConsole.close();
  }
}

/** Tells a failure that comes from the machine's end from others. */
async function guard<Result>(
  guestConsole: GuestConsole,
  signal: AbortSignal,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (!guestConsole.isOver || signal.aborted) throw error;
    throw new GuestGoneError(error instanceof Error ? error.message : String(error));
  }
}
