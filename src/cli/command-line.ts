/* eslint-disable @typescript-eslint/no-require-imports -- most of rebox is loaded when a command asks for it, and without waiting */
/* eslint-disable @typescript-eslint/consistent-type-imports -- the types of modules that are loaded so */
import { InstallationError } from "../config/errors";
import { getProjectFolder } from "../config/folders";
import { showSourcePlaces } from "../config/source-places";
import { ExitStatus } from "./exit-status";
import { endWithOutput, flushOutput } from "./output-end";
import { runProgram } from "./program";
import { getOldestNode, isNewEnough } from "./versions";

const GRACE_MS = 10_000;

/** Most commands need only a part of rebox, and none of it to show the help: each part is loaded at its first use. */
const loadRebox = () => require("../doors/rebox") as typeof import("../doors/rebox");
const loadDoors = () => (require("../doors/doors") as typeof import("../doors/doors")).doors;
const loadGuest = () => require("../guest/guest") as typeof import("../guest/guest");
const loadRegistry = () =>
  require("../machine/callbacks/callback-registry") as typeof import("../machine/callbacks/callback-registry");
const loadCommandLines = () =>
  require("../shell/commands/run-command-line") as typeof import("../shell/commands/run-command-line");
const loadMonitor = () =>
  require("../shell/monitor/monitor-service") as typeof import("../shell/monitor/monitor-service");

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

/** Runs the command line of this process, and ends the process. */
export function start(): void {
  endWithOutput(process);
  main().then(
    // Scripts may have left timers and sockets open; everything of ours is disposed of by now.
    async (status) => {
      await flushOutput(process);
      process.exit(status);
    },
    (error: unknown) => {
      if (error instanceof InstallationError) {
        process.stderr.write(`rebox: ${error.message}\n`);
        process.exit(ExitStatus.failure);
      }
      showSourcePlaces();
      process.stderr.write(`rebox: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(ExitStatus.engineFault);
    },
  );
}
