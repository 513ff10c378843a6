#!/usr/bin/env node
import { createRequire } from "node:module";
import { getProjectFolder } from "../config/folders";
import type * as guest from "../guest/guest";
import type { doors } from "../doors/doors";
import type * as rebox from "../doors/rebox";
import type * as registry from "../machine/callbacks/callback-registry";
import type * as commandLines from "../shell/commands/run-command-line";
import type * as monitor from "../shell/monitor/monitor-service";
import { ExitStatus } from "./exit-status";
import { endWithOutput, flushOutput } from "./output-end";
import { runProgram } from "./program";
import { getOldestNode, isNewEnough } from "./versions";

const GRACE_MS = 10_000;

/** Most commands need only a part of rebox, and none of it to show the help: each part is loaded at its first use. */
const load = createRequire(__filename);
const loadRebox = () => load("../doors/rebox") as typeof rebox;
const loadDoors = () => (load("../doors/doors") as { doors: typeof doors }).doors;
const loadGuest = () => load("../guest/guest") as typeof guest;
const loadRegistry = () => load("../machine/callbacks/callback-registry") as typeof registry;
const loadCommandLines = () => load("../shell/commands/run-command-line") as typeof commandLines;
const loadMonitor = () => load("../shell/monitor/monitor-service") as typeof monitor;

async function main(): Promise<number> {
  if (!isNewEnough(process.version)) {
    process.stderr.write(`rebox: this is Node ${process.version}; install Node ${getOldestNode()} or newer\n`);
    return ExitStatus.failure;
  }
  return runProgram(process.argv.slice(2), {
    // None of these loads the addon before a machine is built: `rebox doctor` has to work without the addon.
    createEngine: (argv) => loadRebox().Engine.create(argv),
    getApi: loadDoors,
    configureGuest: (options) => loadGuest().configureGuest(options),
    nameModule: (handle, name) => loadRegistry().callbackRegistry.nameModule(handle, name),
    replaceModule: (handle) => loadRegistry().callbackRegistry.lendNames(handle),
    disposeModule: (handle) => loadRegistry().callbackRegistry.unregisterModule(handle),
    serveMonitors: (scripts) => {
      const { runCommandLine } = loadCommandLines();
      const { MonitorService } = loadMonitor();
      const service = new MonitorService(loadRebox().Engine.get().native, scripts, (line) => runCommandLine(line));
      return () => service.close();
    },
    stdout: process.stdout,
    stderr: process.stderr,
    processEvents: process,
    exitNow: (status) => process.exit(status),
    projectFolder: getProjectFolder(),
    graceMs: GRACE_MS,
  });
}

endWithOutput(process);
main().then(
  // Scripts may have left timers and sockets open; everything of ours is disposed of by now.
  async (status) => {
    await flushOutput(process);
    process.exit(status);
  },
  (error: unknown) => {
    process.stderr.write(`rebox: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(ExitStatus.engineFault);
  },
);
