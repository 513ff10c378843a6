import { randomBytes } from "node:crypto";
import type { GuestConsole } from "./guest-console";
import { type TypedLine, typeScript } from "./typed-script";

/** A prompt is followed by silence, in milliseconds. */
const QUIET_MS = 150;
/** After so long a silence a key is pressed, in milliseconds: a restored machine says nothing by itself. Each time longer. */
const FIRST_PATIENCE_MS = 300;
const LONGEST_PATIENCE_MS = 5_000;
/** How long a line may take to be answered, in milliseconds: a busy guest is slow. */
const ANSWER_MS = 15_000;
const MOST_TRIES = 5;

const ENTER = "\r";
const CONTROL_C = "\x03";
const PROMPT = /[#$%>] ?$/;
const LOGIN = /login: ?$/i;
const PASSWORD = /password: ?$/i;

/** Who logs in where the console asks for it. */
export interface ConsoleUser {
  readonly name: string;
  readonly password: string | undefined;
}

/** A POSIX shell on the serial console of a guest. */
export class GuestShell {
  private constructor(private readonly console: GuestConsole) {}

  /**
   * Waits until a shell answers on a console: of a guest that still boots, or of one that was restored and waits for a key.
   *
   * @param user who logs in when a login is asked for
   * @param limitMs how long that may take
   * @throws Error that says what the console shows
   */
  static async open(
    console: GuestConsole,
    user: ConsoleUser | undefined,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<GuestShell> {
    const shell = new GuestShell(console);
    const endMs = performance.now() + limitMs;
    let patienceMs = FIRST_PATIENCE_MS;
    let logins = 0;
    for (let keys = 0; !console.isOver && performance.now() < endMs;) {
      const waits = await console.until(patienceMs, signal, findQuestion);
      if (waits !== undefined) await console.untilQuiet(QUIET_MS, patienceMs, signal);
      const question = findQuestion(console.text);
      if (question === "login") {
        if (user === undefined) throw new Error(`the console asks who logs in: set console_user of the machine`);
        if (++logins > 2) throw new Error(`${user.name} cannot log in on the console; it shows ${console.shown}`);
        console.forget();
        console.type(user.name + ENTER);
        continue;
      }
      if (question === "password" && logins > 0) {
        console.forget();
        console.type((user?.password ?? "") + ENTER);
        continue;
      }
      // Not every prompt looks like one.
      if ((question === "prompt" || keys > 3) && (await shell.#answers(signal))) return shell;
      if (waits === undefined || question === "prompt") console.type(ENTER);
      keys++;
      patienceMs = Math.min(patienceMs * 2, LONGEST_PATIENCE_MS);
    }
    if (console.isOver) throw new Error(`the machine went off before a shell answered on its console`);
    throw new Error(`no shell answered on the console within ${limitMs / 1000} s; it shows ${console.shown}`);
  }

  /**
   * Runs a script and waits for its end, however long that takes.
   *
   * @param script for sh; it does not end the shell
   * @param signal ends the wait
   * @returns its exit status; undefined when the machine went off meanwhile
   * @throws Error when the guest does not take what is typed
   */
  async run(script: string, signal: AbortSignal): Promise<number | undefined> {
    const { console } = this;
    const marks = makeMarks();
    const { lines, run } = typeScript(script, marks);
    for (const line of lines) await this.#type(line, signal);
    if (console.isOver) return undefined;
    console.forget();
    const [first, second] = marks;
    const tell = `echo ${first}''${second}end$rebox_status.`;
    // Twice: a message of the kernel may come in between.
    console.type(`${run};rebox_status=$?;${tell};${tell}${ENTER}`);
    const end = new RegExp(`${first}${second}end(\\d+)\\.`);
    const found = await console.until(Infinity, signal, (text) => end.exec(text)?.[1]);
    return found === undefined ? undefined : Number(found);
  }

  /** Tells whether a shell executes what is typed. */
  async #answers(signal: AbortSignal): Promise<boolean> {
    const [first, second] = makeMarks();
    const { console } = this;
    console.forget();
    console.type(`echo ${first}''${second}${ENTER}`);
    const isThere = (text: string) => text.includes(first + second) || undefined;
    if ((await console.until(LONGEST_PATIENCE_MS, signal, isThere)) !== undefined) return true;
    console.type(CONTROL_C);
    return false;
  }

  async #type({ line, answer }: TypedLine, signal: AbortSignal): Promise<void> {
    const { console } = this;
    const whole = new RegExp(`${answer.replaceAll(".", "\\.")}(?!\\d)\\n`);
    for (let tries = 0; tries < MOST_TRIES && !console.isOver; tries++) {
      console.forget();
      console.type(line + ENTER);
      const found = await console.until(ANSWER_MS, signal, (text) => whole.exec(text) ?? undefined);
      if (found !== undefined || console.isOver) return;
      // Half of it may wait for its end.
      console.type(CONTROL_C);
      await console.untilQuiet(QUIET_MS, ANSWER_MS, signal);
    }
    if (console.isOver) return;
    throw new Error(`the guest does not take what is typed on its console, which shows ${console.shown}`);
  }
}

/** Returns two words that nobody else writes together. */
function makeMarks(): [string, string] {
  return [`r${randomBytes(6).toString("hex")}`, `b${randomBytes(6).toString("hex")}x`];
}

function findQuestion(text: string): "login" | "password" | "prompt" | undefined {
  const line = text.slice(text.lastIndexOf("\n") + 1);
  if (LOGIN.test(line)) return "login";
  if (PASSWORD.test(line)) return "password";
  return PROMPT.test(line) ? "prompt" : undefined;
}
