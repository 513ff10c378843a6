import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type GuestKit, listKits } from "../kit/guests/guest-kits";
import { type GuestRun, runGuest } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";

/** What a program says of itself, and what the event said before its first instruction. */
interface Words {
  readonly program: string;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
}

const splitWords = (hex: string): string[] => {
  const text = Buffer.from(hex, "hex").toString("utf8");
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
};

/** The programs by their pid, which each has once, as they themselves have printed it. */
function readWords(truth: GuestRun["truth"]): Map<number, Words> {
  const lines = [...truth].filter(([key]) => /^words\.\d+$/.test(key));
  return new Map(
    lines.map(([key, value]) => {
      const [, program, line, environment] = /^(.*) (\S*) (\S*)$/.exec(value)!;
      const words = { program: program!, argv: splitWords(line!), envp: splitWords(environment!) };
      return [Number(key.slice("words.".length)), words];
    }),
  );
}

const LISTEN = (withModules: boolean) => (): string => `
  import { CallbackManager } from "rebox";
  let callbacks: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    callbacks = new CallbackManager(handle);
    const begun = new Set<bigint>();
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (_pid, pgd) => void begun.add(pgd));
    if (${withModules}) callbacks.addCallback(CallbackManager.LOADMODULE_CB, () => {});
    callbacks.addCallback(CallbackManager.EXEC_CB, (pid, pgd, name, path, argv, envp) => {
      if (!/(words|a program)$/.test(path)) return;
      print(JSON.stringify({ pid, name, path, argv, envp, hasBegun: begun.has(pgd) }));
    });
  }
  export const clean = (): void => callbacks.clean();
`;

function runWords(kit: GuestKit, trust: boolean, withModules: boolean): Promise<GuestRun> {
  return inFolder(async (folder) => {
    const config = join(folder, "pyrebox.conf");
    writeFileSync(config, `[VOL]\nprofile: ${kit.profile}\n`);
    const reboxArgs = kit.profile === undefined ? [] : ["-c", config];
    return runGuest({ task: "words", kit, trust, reboxArgs, script: LISTEN(withModules) });
  });
}

async function checkWords(kit: GuestKit, trust: boolean, withModules: boolean): Promise<void> {
  const { messages, truth, stderr } = await runWords(kit, trust, withModules);
  assert.ok(truth.has("words.done"), stderr);
  const expected = readWords(truth);
  assert.ok(expected.size >= 33, `${expected.size} programs`);
  const told = messages.map((text) => JSON.parse(text) as Words & { pid: number; name: string; path: string });
  const found = told.map(({ pid, path, argv, envp }) => [pid, { program: path, argv, envp }] as const);
  const byPid = ([a]: readonly [number, unknown], [b]: readonly [number, unknown]) => a - b;
  assert.deepEqual([...found].sort(byPid), [...expected].sort(byPid));
  assert.deepEqual(
    told.filter((one) => !("hasBegun" in one && one.hasBegun)),
    [],
    "the process has begun before its program does",
  );
  const named = new Set(told.map(({ name }) => name));
  assert.deepEqual([...named].sort(), ["a program", "link", "script", "words"]);
}

for (const [index, kit] of listKits().entries()) {
  const isTrusted = index % 2 === 1;
  test(`each program that begins is reported once with the words that it was started with, on ${kit.release}`, () =>
    checkWords(kit, isTrusted, index > 1));
}

test("a trigger is asked about programs, with their words as C has them", () =>
  inFolder(async (folder) => {
    const trigger = join(folder, "rebox-words.c");
    writeFileSync(
      trigger,
      `#include <stdio.h>
      #include <string.h>
      #include "rebox_trigger.h"
      REBOX_TRIGGER_API_VERSION;
      callback_type_t get_type(void) { return EXEC_CB; }
      int trigger(callback_handle_t handle, callback_params_t params) {
        vmi_exec_params_t p = params.vmi_exec_params;
        int words = 0, variables = 0;
        char text[300];
        while (p.argv[words]) words++;
        while (p.envp[variables]) variables++;
        snprintf(text, sizeof(text), "%d %s %s %d %d", (int)p.pid, p.name, p.path, words, variables);
        set_var_string(handle, "seen", text);
        return words == 3 && strcmp(p.argv[1], "other") == 0 && p.pgd != 0;
      }
      void clean(callback_handle_t handle) { erase_trigger_vars(handle); }`,
    );
    const { messages, stderr } = await runGuest({
      task: "words",
      trust: true,
      script: () => `
        import { CallbackManager } from "rebox";
        let callbacks: CallbackManager;
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          callbacks = new CallbackManager(handle);
          const seen = callbacks.addCallback(CallbackManager.EXEC_CB, (pid, _pgd, name, path, argv, envp) => {
            const expected = [pid, name, path, argv.length, envp.length].join(" ");
            print(argv.join(" ") + " " + String(callbacks.getTriggerVar(seen, "seen") === expected));
          });
          callbacks.addTrigger(seen, ${JSON.stringify(trigger)});
        }
        export const clean = (): void => callbacks.clean();
      `,
    });
    assert.equal(stderr, "");
    const numbers = Array.from({ length: 10 }, (_, index) => index + 1);
    assert.deepEqual(messages.toSorted(), numbers.map((number) => `words other ${number} true`).toSorted());
  }));
