import { randomBytes } from "node:crypto";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { AnalysisError } from "../errors";
import type { GuestConsole } from "./guest-console";
import type { ConsoleUser } from "./guest-shell";
import { getKeys, type KeyPress } from "./keyboard-keys";

const ENTER = "\r";
/** Erases what stands in a line already. */
const CONTROL_U = "\x15";
/** A shell on the screen's console answers within this time; a busy guest takes longer, and gets more in each round. In milliseconds. */
const FIRST_PATIENCE_MS = 3_000;
const LONGEST_PATIENCE_MS = 20_000;
/** From a name to the question for the password, and to the refusal of a wrong one (FAIL_DELAY of login.defs). */
const LOGIN_MS = 4_000;

/** The shell's variable of the seconds since the guest's boot when it answered (/proc/uptime). */
const UPTIME = "rebox_up";

/** Types on the keyboard of a machine. */
export type TypeKeys = (keys: readonly KeyPress[], signal: AbortSignal) => Promise<void>;

/**
 * Makes one stream out of a keyboard, for what is typed, and a serial port, for what is read.
 *
 * @param serial belongs to the stream from now on
 */
export function joinKeyboard(serial: Duplex, type: TypeKeys, signal: AbortSignal): Duplex {
  const joined = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      type(getKeys(chunk.toString("latin1")), signal).then(() => done(), done);
    },
    destroy(error, done) {
      serial.destroy();
      done(error);
    },
  });
  serial.on("data", (chunk: Buffer) => joined.push(chunk));
  serial.on("error", () => joined.push(null));
  serial.on("close", () => joined.push(null));
  return joined;
}

/**
 * Writes the command that sets the guest's clock, to the second, however long the command is typed: many seconds on a busy machine.
 *
 * @param timeMs what the clock is to have said when redirectShell() had its answer; where the guest has no /proc/uptime it is set to that
 */
export function writeTypedDate(timeMs: number): string {
  const now = "rebox_now";
  const read = `read ${now} rebox_rest </proc/uptime; ${now}=\${${now}:-0}; ${UPTIME}=\${${UPTIME}:-0}`;
  return `${read}; date -u -s @$((${Math.floor(timeMs / 1000)} + \${${now}%.*} - \${${UPTIME}%.*}))`;
}

/**
 * Has the shell on the screen's console, which is not seen, write to the serial port, and logs in there first where none answers.
 *
 * @throws AnalysisError when none does
 */
export async function redirectShell(
  guestConsole: GuestConsole,
  user: ConsoleUser | undefined,
  limitMs: number,
  signal: AbortSignal,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  for (let patienceMs = FIRST_PATIENCE_MS; performance.now() < endMs && !guestConsole.isOver;) {
    const [first, second] = [randomBytes(4).toString("hex"), randomBytes(4).toString("hex")];
    guestConsole.forget();
    guestConsole.type(
      `${CONTROL_U}exec >/dev/ttyS0 2>&1; read ${UPTIME} rebox_rest </proc/uptime; echo ${first}''${second}${ENTER}`,
    );
    const isThere = (text: string) => text.includes(first + second) || undefined;
    if ((await guestConsole.until(patienceMs, signal, isThere)) !== undefined) return;
    patienceMs = Math.min(patienceMs * 2, LONGEST_PATIENCE_MS);
    if (user === undefined) continue;
    // It was taken for a name, and a password is asked for.
    guestConsole.type(ENTER);
    await sleep(LOGIN_MS, undefined, { signal });
    for (const answer of [user.name, ...(user.password === undefined ? [] : [user.password])]) {
      guestConsole.type(`${CONTROL_U}${answer}${ENTER}`);
      await sleep(LOGIN_MS, undefined, { signal });
    }
  }
  if (guestConsole.isOver) throw new AnalysisError("the machine went off before a shell answered to its keyboard");
  throw new AnalysisError(
    `no shell has answered to the keyboard within ${limitMs / 1000} s: the first console of the guest's screen needs one, ` +
      "or console_user, and may write to /dev/ttyS0",
  );
}
