#!/usr/bin/env node
import { lendNames, nameModule, unregisterModule } from "../machine/callbacks/callback-registry";
import { runCommandLine } from "../shell/commands/run-command-line";
import { useProfile, watchAttaching } from "../guest/guest";
import * as rebox from "../index";
import { MonitorService } from "../shell/monitor/monitor-service";
import { ExitStatus } from "./exit-status";
import { runProgram } from "./program";
import { getProjectFolder } from "../config/folders";

const OLDEST_NODE = 20;
const GRACE_MS = 10_000;

async function main(): Promise<number> {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    process.stderr.write(`rebox: this is Node ${process.version}; install Node ${OLDEST_NODE} or newer\n`);
    return ExitStatus.failure;
  }
  return runProgram(process.argv.slice(2), {
    // None of these loads the addon before a machine is built: `rebox doctor` has to work where the addon does not.
    createEngine: (argv) => rebox.Engine.create(argv),
    getApi: () => rebox,
    useProfile,
    watchAttaching,
    nameModule,
    replaceModule: lendNames,
    disposeModule: unregisterModule,
    serveMonitors: (scripts) => {
      const service = new MonitorService(rebox.Engine.get().native, scripts, (line) => runCommandLine(line));
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

main().then(
  // Scripts may have left timers and sockets open; everything of ours is disposed of by now.
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`rebox: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(ExitStatus.engineFault);
  },
);
