import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GuestRun, type GuestRunOptions, runGuest } from "../guests/guest-run";

/** A run of a guest with a shipped script. */
export interface ShippedScriptRun extends GuestRun {
  /** The answers to commands, in order. */
  readonly answers: readonly string[];
  /** What the script printed. */
  readonly printed: readonly string[];
}

/**
 * Runs a task of the guest kit with a shipped script in the sandbox, and gives it a command before the guest does anything.
 *
 * @param command a command of the script; it may name files below `folder`/results
 * @param atEnd a process' name and a command that is given when that process ends
 */
export async function runShippedScript(
  name: string,
  command: string,
  options: Pick<GuestRunOptions, "task" | "parameters" | "timeoutMs"> & {
    readonly folder?: string;
    readonly atEnd?: readonly [process: string, command: string];
  },
): Promise<ShippedScriptRun> {
  const { folder = mkdtempSync(join(tmpdir(), "rebox-shipped-")), atEnd, ...guest } = options;
  const config = join(folder, "pyrebox.conf");
  writeFileSync(config, `[MODULES]\nscripts.${name}: True\n[PERMISSIONS]\nscripts.${name}: fs:results\n`);
  const [process, last] = atEnd ?? [];
  try {
    const run = await runGuest({
      ...guest,
      trust: true,
      reboxArgs: ["-c", config],
      script: () => `
        import { mkdirSync } from "node:fs";
        import { CallbackManager, runCommand } from "rebox";
        export async function initialize_callbacks(handle: number, print: (text: string) => void): Promise<void> {
          mkdirSync(${JSON.stringify(join(folder, "results"))}, { recursive: true });
          print("answer: " + await runCommand(${JSON.stringify(command)}));
          const last = ${JSON.stringify(last ?? null)};
          if (last === null) return;
          new CallbackManager(handle).addCallback("REMOVEPROC_CB", async (_pid, _pgd, name) => {
            if (name === ${JSON.stringify(process ?? "")}) print("answer: " + await runCommand(last));
          });
        }
        export const clean = (): void => {};
      `,
    });
    const isAnswer = (text: string): boolean => text.startsWith("answer: ");
    return {
      ...run,
      answers: run.messages.filter(isAnswer).map((text) => text.slice("answer: ".length)),
      printed: run.messages.filter((text) => !isAnswer(text)),
    };
  } finally {
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}
