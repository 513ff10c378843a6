import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parsePermissions } from "../../../src/config/script-permissions";
import { doors } from "../../../src/doors/doors";
import { ScriptError } from "../../../src/scripts/errors";
import { ScriptHost } from "../../../src/scripts/script-host";
import type { ScriptLimits } from "../../../src/scripts/script-host-options";

export const CLEAN = "export function clean() {}";
export const INIT = "export function initialize_callbacks() {}";

/** A folder with scripts and a host that loads them with permissions, for tests without a machine. */
export class ScriptFolder {
  readonly path = realpathSync(mkdtempSync(join(tmpdir(), "rebox-scripts-")));
  readonly messages: string[] = [];
  readonly strays: string[] = [];
  readonly warnings: string[] = [];
  readonly host: ScriptHost;

  /** @param permissions as in pyrebox.conf; by module name, or for all */
  constructor(
    private readonly permissions: string | Readonly<Record<string, string>> = "none",
    limits: Partial<ScriptLimits> = {},
  ) {
    this.host = new ScriptHost({
      folders: [this.path],
      getApi: () => doors,
      getPermissions: (name) => parsePermissions(this.permissionsOf(name), this.path),
      limits,
    });
    this.host.on("message", ({ text }) => this.messages.push(text));
    this.host.on("strayError", (_script, error) => this.strays.push(`${error.name}: ${error.message}`));
    this.host.on("warning", (text) => this.warnings.push(text));
  }

  /** Writes a file, and returns its path. */
  write(path: string, ...lines: readonly string[]): string {
    const file = join(this.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, lines.join("\n"));
    return file;
  }

  /** Loads a script whose initialize_callbacks(h, print) has this body, and returns what it printed. */
  async run(body: string, top = ""): Promise<string[]> {
    this.write("run.ts", top, `export function initialize_callbacks(h: any, print: any): any {\n${body}\n}`, CLEAN);
    const { handle } = await this.host.load("run");
    await this.host.unload(handle);
    return this.messages.splice(0);
  }

  /** Returns the error with which something is refused. */
  async refusal(loading: Promise<unknown>): Promise<ScriptError> {
    try {
      await loading;
    } catch (error) {
      if (error instanceof ScriptError) return error;
      throw error;
    }
    throw new Error("it was not refused");
  }

  async remove(): Promise<void> {
    await this.host.unloadAll();
    rmSync(this.path, { recursive: true });
  }

  private permissionsOf(name: string): string {
    return typeof this.permissions === "string" ? this.permissions : (this.permissions[name] ?? "none");
  }
}
