import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { AuxiliaryCatalog } from "../../../src/lab/auxiliary/auxiliary-catalog";
import { AuxiliaryConfig } from "../../../src/lab/auxiliary/auxiliary-config";
import type { AuxiliaryMachine, AuxiliaryRun } from "../../../src/lab/auxiliary/auxiliary-run";
import { type AuxiliaryLimits, AuxiliaryRunner } from "../../../src/lab/auxiliary/auxiliary-runner";
import { doors } from "../../../src/doors/doors";

let runs = 0;

/** The folder of a lab with auxiliary modules of a test; runs of it record what modules say and do. */
export class AuxiliaryFolder {
  readonly path = mkdtempSync(join(tmpdir(), "rebox-auxiliary-"));
  /** What modules did, in order: they call `run.addEvent(what, {})`. */
  readonly acts: string[] = [];
  /** What was logged, each line after its level. */
  readonly log: string[] = [];

  write(path: string, ...lines: readonly string[]): void {
    const file = join(this.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, lines.join("\n"));
  }

  /** Writes conf/auxiliary.conf. */
  configure(...lines: readonly string[]): void {
    this.write("conf/auxiliary.conf", ...lines);
  }

  /** Writes a module whose body are these lines. */
  module(name: string, ...body: readonly string[]): void {
    this.write(
      `modules/auxiliary/${name}.ts`,
      'import { Auxiliary, AuxiliaryDisabled } from "rebox/lab"; void AuxiliaryDisabled;',
      `export default class extends Auxiliary {`,
      '  say(what: string) { this.run.addEvent(this.name + " " + what, {}); }',
      ...body,
      "}",
    );
  }

  /** Makes the runner of one analysis. */
  runner(
    parts: {
      run?: Partial<AuxiliaryRun>;
      machine?: Partial<AuxiliaryMachine>;
      limits?: Partial<AuxiliaryLimits>;
      folders?: readonly string[];
    } = {},
  ): AuxiliaryRunner {
    const id = ++runs;
    const folder = join(this.path, "analyses", String(id));
    mkdirSync(folder, { recursive: true });
    const write = (level: string) => (message: string) => void this.log.push(`${level}: ${message}`);
    return new AuxiliaryRunner({
      catalog: new AuxiliaryCatalog(parts.folders ?? [join(this.path, "modules/auxiliary")]),
      config: AuxiliaryConfig.load(join(this.path, "conf/auxiliary.conf")),
      configurations: join(this.path, "data/auxiliary"),
      api: doors,
      log: { debug: () => {}, info: write("info"), warn: write("warn"), error: write("error") },
      run: {
        id,
        folder,
        target: undefined,
        options: {},
        signal: new AbortController().signal,
        addEvent: (type) => void this.acts.push(type),
        ...parts.run,
      },
      machine: { name: "one", label: "one", platform: "linux", ip: undefined, interface: undefined, ...parts.machine },
      limits: { stopMs: 300, ...parts.limits },
    });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
