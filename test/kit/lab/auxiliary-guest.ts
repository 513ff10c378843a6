import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AuxiliaryCatalog } from "../../../src/lab/auxiliary/auxiliary-catalog";
import { AuxiliaryConfig } from "../../../src/lab/auxiliary/auxiliary-config";
import type { AuxiliaryMachine, AuxiliaryStatus, GuestHandle } from "../../../src/lab/auxiliary/auxiliary-run";
import { AuxiliaryRunner } from "../../../src/lab/auxiliary/auxiliary-runner";
import { type AnalysisEvent, appendEvent, readEvents } from "../../../src/lab/analysis/event-log";
import { doors } from "../../../src/doors/doors";
import type { TestLab } from "./lab-run";
import { PROJECT } from "../project";

const MODULES = join(PROJECT, "modules/auxiliary");

/** The shipped auxiliary modules of one analysis of a guest. */
export interface GuestAnalysis {
  readonly folder: string;
  readonly runner: AuxiliaryRunner;
  /** Warnings and errors. */
  readonly log: readonly string[];
  readonly events: readonly AnalysisEvent[];
  eventsOf(type: string): readonly AnalysisEvent[];
  status(name: string): AuxiliaryStatus;
  path(name: string): string;
  read(name: string): string;
  list(name: string): string[];
}

let analyses = 0;

/**
 * Starts shipped modules for a guest that runs.
 *
 * @param settings lines of conf/auxiliary.conf
 * @param guest undefined for a machine that cannot be looked into
 */
export async function startModules(
  lab: TestLab,
  settings: readonly string[],
  guest: GuestHandle | undefined,
  more: { readonly machine?: Partial<AuxiliaryMachine>; readonly options?: Readonly<Record<string, string>> } = {},
): Promise<GuestAnalysis> {
  const id = ++analyses;
  const folder = lab.path(`analyses/${id}`);
  mkdirSync(folder, { recursive: true });
  const log: string[] = [];
  const write = (level: string) => (message: string) => void log.push(`${level}: ${message}`);
  const config = lab.write(`conf/${id}/auxiliary.conf`, settings.join("\n"));
  const runner = new AuxiliaryRunner({
    catalog: new AuxiliaryCatalog([MODULES]),
    config: AuxiliaryConfig.load(config),
    configurations: lab.path("data/auxiliary"),
    api: doors,
    log: { debug: () => {}, info: () => {}, warn: write("warn"), error: write("error") },
    run: {
      ...{ id, folder, target: undefined, options: more.options ?? {} },
      signal: new AbortController().signal,
      addEvent: (type, facts) => appendEvent(folder, type, facts),
    },
    machine: { name: "g", label: "g", platform: "linux", ip: undefined, interface: undefined, guest, ...more.machine },
  });
  const analysis: GuestAnalysis = {
    ...{ folder, runner, log },
    get events() {
      return [...readEvents(folder)];
    },
    eventsOf: (type) => analysis.events.filter((event) => event.type === type),
    status: (name) => runner.status.find((status) => status.name === name)!,
    path: (name) => join(folder, name),
    read: (name) => readFileSync(join(folder, name), "utf8"),
    list: (name) => readdirSync(join(folder, name)).toSorted(),
  };
  await runner.start();
  await runner.machineStarted();
  return analysis;
}

/** Stops the modules of an analysis. */
export async function stopModules({ runner }: GuestAnalysis): Promise<void> {
  await runner.stop();
  await runner.finish();
}
