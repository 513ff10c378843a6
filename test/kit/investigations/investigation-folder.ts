import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { doors } from "../../../src/doors/doors";
import { InvestigationCatalog } from "../../../src/investigation/catalog";
import { PersistentHost, type PersistentHostOptions } from "../../../src/investigation/persistent/host";
import { type OperationHost } from "../../../src/investigation/run-operations";
import { stopCompiler } from "../../../src/scripts/loading/script-compiler";

/** A folder with modules of a test. */
export interface InvestigationFolder extends OperationHost {
  readonly folder: string;
  /** Writes a file, making its folders, and returns its path. */
  write(path: string, text: string): string;
}

/** Makes modules in a folder of their own, and removes all when the test is done. */
export async function withModules(
  files: Readonly<Record<string, string>>,
  use: (folder: InvestigationFolder) => Promise<void>,
  options?: Omit<PersistentHostOptions, "configFolder">,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-investigation-"));
  const write = (path: string, text: string): string => {
    const file = join(folder, path);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  for (const [name, text] of Object.entries(files)) write(join("modules/investigation", name), text);
  const catalog = new InvestigationCatalog([folder], () => doors);
  const persistent = new PersistentHost(catalog, {
    ...{ configFolder: join(folder, "conf"), log: () => undefined, onAlert: () => undefined },
    ...options,
  });
  try {
    await use({ folder, catalog, persistent, write });
  } finally {
    await persistent.close();
    await stopCompiler();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The source of a module whose investigate() has this body. */
export function moduleSource(name: string, body: string, members = ""): string {
  return `
    import { Investigation, parseFlags, registerInvestigation, z } from "rebox/investigation";
    const Parameters = z.strictObject({ word: z.string().default(""), count: z.number().int().min(0).default(0), deep: z.strictObject({ inner: z.boolean() }).optional() });
    class Module extends Investigation<z.infer<typeof Parameters>> {
      protected readonly schema = Parameters;
      protected async investigate(): Promise<any> { ${body} }
      ${members}
    }
    registerInvestigation(${JSON.stringify(name)}, { newRun: (context) => new Module(context) });
  `;
}

/** The message with parameters. */
export function parameters(value: object): string {
  return JSON.stringify({ class: "parameters", parameters: value });
}
