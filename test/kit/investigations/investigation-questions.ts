import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestKit } from "../guests/guest-kits";
import { type GuestRun, runGuest, scriptPrelude } from "../guests/guest-run";
import { PROJECT } from "../project";

const MODULES = join(PROJECT, "modules/investigation");

/** A question to a module, by a name of the test's. */
export interface Question {
  readonly module: string;
  readonly parameters?: unknown;
  /** In their place, words of a command line. */
  readonly words?: readonly string[];
  /** The answer is masked, as privacy mode does it. */
  readonly isPrivate?: boolean;
}

export interface Answer {
  readonly success: boolean;
  readonly foundanything: boolean;
  // What a module answers is its own.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly elements: any;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly statistics: any;
  readonly errors: string[] | null;
  /** The line of JSON as it came. */
  readonly text: string;
  /** What the module prints of it, with and without what was not found. */
  readonly lines: string[];
  readonly found: string[];
  readonly tookMs: number;
  /** When it came, by this machine's clock in milliseconds since 1970. */
  readonly at: number;
}

/** Asks in the process of the engine, when the guest has reported. */
const ASK = (serial: string, folder: string): string => `
  import { Engine } from "rebox";
  import { writeFileSync } from "node:fs";
  import { createRequire } from "node:module";
  ${scriptPrelude(serial)}
  // Not bundled: it is to see the engine that runs here.
  const { askModules } = createRequire(${JSON.stringify(__filename)})(${JSON.stringify(join(__dirname, "investigation-modules.js"))});
  const folder = ${JSON.stringify(folder)};
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    void untilTruth("investigation.reported")
      .then(() => askModules(${JSON.stringify(MODULES)}, JSON.parse(readFileSync(folder + "/questions.json", "utf8"))))
      .then((answers) => writeFileSync(folder + "/answers.json", JSON.stringify(answers)))
      .catch((error) => print(String(error.stack)))
      .finally(() => Engine.get().quit());
  }
  export const clean = (): void => {};
`;

/** Boots a guest with all that investigations look for, and asks all questions, those of a list at once. */
export async function investigate(
  kit: GuestKit,
  questions: readonly Readonly<Record<string, Question>>[],
  parameters: Record<string, string | number> = {},
): Promise<GuestRun & { readonly answers: Readonly<Record<string, Answer>> }> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-investigation-"));
  try {
    writeFileSync(join(folder, "questions.json"), JSON.stringify(questions));
    const config = join(folder, "pyrebox.conf");
    if (kit.profile !== undefined) writeFileSync(config, `[VOL]\nprofile: ${kit.profile}\n`);
    const run = await runGuest({
      task: "investigation",
      kit,
      parameters,
      reports: true,
      timeoutMs: 240_000,
      trust: true,
      qemuArgs: ["-nic", "user,model=virtio-net-pci"],
      script: (serial) => ASK(serial, folder),
      ...(kit.profile === undefined ? {} : { reboxArgs: ["-c", config] }),
    });
    assert.deepEqual(run.messages, [], run.stderr);
    return {
      ...run,
      answers: JSON.parse(readFileSync(join(folder, "answers.json"), "utf8")) as Record<string, Answer>,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
