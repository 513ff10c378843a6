import { randomBytes } from "node:crypto";
import { AnalysisError } from "../errors";
import type { GuestConsole } from "./guest-console";
import type { ScriptResult } from "./guest-way";

/** A prompt is followed by silence, in milliseconds. */
const QUIET_MS = 150;
/** After so long a silence a key is pressed, in milliseconds: a restored machine says nothing by itself. Each time longer. */
const FIRST_PATIENCE_MS = 30;
const LONGEST_PATIENCE_MS = 5_000;
/** The longest wait for the answer to a line, in milliseconds: a busy guest is slow. */
const ANSWER_MS = 15_000;
const MOST_TRIES = 5;
/** The number of keys without a known answer, some four seconds of silence. */
const KEYS_BEFORE_TRIAL = 7;

const ENTER = "\r";
const CONTROL_C = "\x03";
const PROMPT = /[#$%>] ?$/;
const LOGIN = /login: ?$/i;
const PASSWORD = /password: ?$/i;

/** The user that logs in when the console asks for it. */
export interface ConsoleUser {
  readonly name: string;
  readonly password: string | undefined;
}

/** A POSIX shell on the serial console of a guest. */
export class GuestShell {
  private constructor(private readonly guestConsole: GuestConsole) {}

  /**
   * Waits until a shell answers on a console: of a guest that still boots, or of one that was restored and waits for a key.
   *
   * @param user who logs in when a login is asked for
   * @param limitMs how long that may take
   * @throws Error that says what the console shows
   */
  static async open(
    guestConsole: GuestConsole,
    user: ConsoleUser | undefined,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<GuestShell> {
    const shell = new GuestShell(guestConsole);
    const endMs = performance.now() + limitMs;
    let patienceMs = FIRST_PATIENCE_MS;
    let logins = 0;
    let keys = 0;
    while (!guestConsole.isOver && performance.now() < endMs) {
      const waits = await guestConsole.until(patienceMs, signal, findQuestion);
      if (waits !== undefined) await guestConsole.untilQuiet(Math.min(QUIET_MS, patienceMs), patienceMs, signal);
      const question = findQuestion(guestConsole.text);
      if (question === "login") {
        logins++;
        shell.#answer(getLogin(guestConsole, user, logins));
        continue;
      }
      if (question === "password" && logins > 0) {
        shell.#answer(user?.password ?? "");
        continue;
      }
      // Not every prompt looks like one.
      if ((question === "prompt" || keys > KEYS_BEFORE_TRIAL) && (await shell.#executes(signal))) return shell;
      if (waits === undefined || question === "prompt") guestConsole.type(ENTER);
      keys++;
      patienceMs = Math.min(patienceMs * 2, LONGEST_PATIENCE_MS);
    }
    if (guestConsole.isOver) throw new AnalysisError("the machine went off before a shell answered on its console");
    const seconds = limitMs / 1000;
    throw new AnalysisError(`no shell answered on the console within ${seconds} s; it shows ${guestConsole.shown}`);
  }

  /**
   * Runs a script and waits for its end, however long that takes.
   *
   * @param script for sh; it does not end the shell
   * @param signal ends the wait
   * @returns its exit status; undefined when the machine went off before
   * @throws Error when the guest does not answer the typed lines
   */
  async run(script: string, signal: AbortSignal): Promise<number | undefined> {
    return (await this.read(script, signal))?.status;
  }

  /**
   * Runs a script as run() does, and reads what it wrote. Messages that the kernel writes on the console in the meantime are in it.
   *
   * @returns undefined when the machine went off before its end
   */
  async read(script: string, signal: AbortSignal): Promise<ScriptResult | undefined> {
    const { guestConsole } = this;
    const marks = makeMarks();
    const { lines, run } = typeScript(script, marks);
    for (const line of lines) await this.#type(line, signal);
    if (guestConsole.isOver) return undefined;
    guestConsole.forget();
    const [first, second] = marks;
    const tell = `echo ${first}''${second}end$rebox_status.`;
    // Twice: a message of the kernel may come in between.
    guestConsole.type(`echo ${first}''${second}begin;${run};rebox_status=$?;${tell};${tell}${ENTER}`);
    const begin = `${first}${second}begin\n`;
    const end = new RegExp(`^([^]*?)${first}${second}end(\\d+)\\.`);
    const found = await guestConsole.until(Infinity, signal, (text) => {
      const at = text.indexOf(begin);
      return end.exec(at === -1 ? text : text.slice(at + begin.length)) ?? undefined;
    });
    return found === undefined ? undefined : { status: Number(found[2]), output: found[1]! };
  }

  /** Types the answer to a question of the console. */
  #answer(text: string): void {
    this.guestConsole.forget();
    this.guestConsole.type(text + ENTER);
  }

  /** Returns whether a shell executes what is typed. */
  async #executes(signal: AbortSignal): Promise<boolean> {
    const [first, second] = makeMarks();
    const { guestConsole } = this;
    guestConsole.forget();
    guestConsole.type(`echo ${first}''${second}${ENTER}`);
    const isThere = (text: string) => text.includes(first + second) || undefined;
    if ((await guestConsole.until(LONGEST_PATIENCE_MS, signal, isThere)) !== undefined) return true;
    guestConsole.type(CONTROL_C);
    return false;
  }

  async #type({ line, answer }: TypedLine, signal: AbortSignal): Promise<void> {
    const { guestConsole } = this;
    const whole = new RegExp(`${answer.replaceAll(".", "\\.")}(?!\\d)\\n`);
    for (let tries = 0; tries < MOST_TRIES && !guestConsole.isOver; tries++) {
      guestConsole.forget();
      guestConsole.type(line + ENTER);
      const found = await guestConsole.until(ANSWER_MS, signal, (text) => whole.exec(text) ?? undefined);
      if (found !== undefined || guestConsole.isOver) return;
      // Half of it may wait for its end.
      guestConsole.type(CONTROL_C);
      await guestConsole.untilQuiet(QUIET_MS, ANSWER_MS, signal);
    }
    if (guestConsole.isOver) return;
    throw new AnalysisError(`the guest does not take what is typed on its console, which shows ${guestConsole.shown}`);
  }
}

const MOST_LOGINS = 2;

/** Gets the name to log in with. @throws AnalysisError when there is none, or it was refused before */
function getLogin(guestConsole: GuestConsole, user: ConsoleUser | undefined, logins: number): string {
  if (user === undefined) throw new AnalysisError("the console asks who logs in: set console_user of the machine");
  if (logins <= MOST_LOGINS) return user.name;
  throw new AnalysisError(`${user.name} cannot log in on the console; it shows ${guestConsole.shown}`);
}

/** Returns two random words that no other output has together. */
export function makeMarks(): [string, string] {
  return [`r${randomBytes(6).toString("hex")}`, `b${randomBytes(6).toString("hex")}x`];
}

function findQuestion(text: string): "login" | "password" | "prompt" | undefined {
  const line = text.slice(text.lastIndexOf("\n") + 1);
  if (LOGIN.test(line)) return "login";
  if (PASSWORD.test(line)) return "password";
  return PROMPT.test(line) ? "prompt" : undefined;
}

/** In characters: line editors keep no more than about a thousand, and terminals are narrow. */
const CHUNK = 400;
/** In characters; a longer script belongs in a file. */
const LONGEST = 64 << 10;

/** A line for a shell, and what it prints when it has arrived as it was typed. */
export interface TypedLine {
  readonly line: string;
  readonly answer: string;
}

/** A script that is typed in lines, whose text is printable and without a quote. */
export interface TypedScript {
  /** They keep the script in variables of the shell; each may be typed again. */
  readonly lines: readonly TypedLine[];
  /** Runs it. */
  readonly run: string;
}

/**
 * Turns any script into lines that can be typed at any POSIX shell: no line is long, none has a character that a line editor
 * treats in a way of its own, and each answers with the length that has arrived, so that a lost character is noticed.
 *
 * @param script for sh
 * @param marks two words; the output of the lines begins with both together, and the lines themselves never have them so
 * @throws Error when the script is too long to be typed
 */
export function typeScript(script: string, [first, second]: readonly [string, string]): TypedScript {
  const encoded = encode(script);
  if (encoded.length > LONGEST) {
    throw new AnalysisError(
      `a command of ${Buffer.byteLength(script)} bytes is too long to be typed; put it into a file: --target`,
    );
  }
  const name = (index: number) => `rebox_${index}`;
  const lines: TypedLine[] = [];
  for (let at = 0, index = 0; at < encoded.length; index++) {
    // An escape may be cut in two: only the parts together are decoded.
    const end = Math.min(at + CHUNK, encoded.length);
    const before = index === 0 ? "" : `"$${name(index - 1)}"`;
    const after = `${index}.\${#${name(index)}}`;
    lines.push({
      line: `${name(index)}=${before}'${encoded.slice(at, end)}';echo ${first}''${second}${after}`,
      answer: `${first}${second}${index}.${end}`,
    });
    at = end;
  }
  return { lines, run: `eval "$(printf %b "$${name(lines.length - 1)}")"` };
}

/** Writes text with printf's %b escapes (POSIX, printf): the result has only letters, digits and harmless signs. */
function encode(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    encoded += /[\w ./:;=,@%+-]/.test(char) ? char : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return encoded;
}
