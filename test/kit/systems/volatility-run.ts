import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentFolder } from "../../../src/guest/volatility/volatility-places";
import type { GuestKit } from "../guests/guest-kits";
import { type GuestRun, runGuest, scriptPrelude } from "../guests/guest-run";

/** The columns of a row; addresses as text in hexadecimal. */
export interface Row {
  readonly [column: string]: string | number | boolean | null | readonly Row[];
  readonly __children: readonly Row[];
}

/** What a run of a plugin led to. */
export interface PluginRun {
  readonly rows: readonly Row[];
  readonly error?: string;
  readonly warnings: readonly string[];
  readonly volatilityMs: number;
  readonly ownMs: number;
}

/** A guest on which plugins were run. */
export interface VolatilityRun extends GuestRun {
  /** By the plugin's name and arguments, as they were given. */
  readonly plugins: Readonly<Record<string, PluginRun>>;
  /** rebox's own list: the address of each task_struct and its pid. */
  readonly processes: readonly string[];
  /** What the guest's state was before, during and after the plugins. */
  readonly states: readonly string[];
  /** What was left in the folder for runs. */
  readonly leftBehind: readonly string[];
}

/** Says why tests with the real Volatility are skipped; false when it is there. */
export function whyNoVolatility(): string | false {
  return existsSync(join(environmentFolder(), "bin/vol"))
    ? false
    : "set-up has left Volatility 3 out: build/js/src/cli/main.js vol install";
}

/** The environment in which rebox uses the pinned Volatility, with a cache of the test's own. */
export function volatilityEnvironment(cache: string): NodeJS.ProcessEnv {
  const folder = environmentFolder();
  return { REBOX_VOLATILITY: `'${folder}/bin/python3' '${folder}/bin/vol'`, XDG_CACHE_HOME: cache };
}

const SCRIPT = (serial: string, file: string, plugins: readonly string[]): string => `
  import { Engine, getGuest, volatility } from "rebox";
  import { writeFileSync } from "node:fs";
  ${scriptPrelude(serial)}
  const hex = (_: string, value: unknown) => (typeof value === "bigint" ? "0x" + value.toString(16) : value);
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    void untilTruth("zoo.reported").then(look).catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
  }
  async function look(): Promise<void> {
    const engine = Engine.get();
    const states: string[] = [engine.state];
    const processes = getGuest().getProcessList().map(({ kaddr, pid }) => pid + " 0x" + kaddr.toString(16));
    const found: Record<string, unknown> = {};
    const waiting = ${JSON.stringify(plugins)} as string[];
    // Two at a time: they share the pause.
    const work = async (): Promise<void> => {
      for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
        const [name, ...args] = line.split(" ");
        const options = { onProgress: () => void (states.includes(engine.state) || states.push(engine.state)) };
        found[line] = await volatility.run(name!, args, options).catch((error) => ({ rows: [], error: error.stack + error.output }));
      }
    };
    await Promise.all([work(), work()]);
    states.push(engine.state);
    writeFileSync(${JSON.stringify(file)}, JSON.stringify({ plugins: found, processes, states }, hex));
  }
  export const clean = (): void => {};
`;

/** Boots a guest with the task zoo and runs plugins of the real Volatility on it. */
export async function runPlugins(
  kit: GuestKit,
  plugins: readonly string[],
  qemuArgs: readonly string[] = [],
): Promise<VolatilityRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-volatility-"));
  try {
    const file = join(folder, "found.json");
    const run = await runGuest({
      task: "zoo",
      parameters: { kallsyms: plugins.includes("linux.check_syscall") ? "sys_" : 0 },
      kit,
      qemuArgs,
      reports: true,
      timeoutMs: 900_000,
      env: volatilityEnvironment(join(folder, "cache")),
      script: (serial) => SCRIPT(serial, file, plugins),
    });
    assert.deepEqual(run.messages, [], run.stderr);
    assert.equal(run.status, 0, run.stderr);
    const found = JSON.parse(readFileSync(file, "utf8")) as Pick<VolatilityRun, "plugins" | "processes" | "states">;
    return { ...run, ...found, leftBehind: readdirSync(join(folder, "cache/rebox/volatility/runs")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
