#!/usr/bin/env node
import { ExitStatus } from "./exit-status";
import { runProgram } from "./program";
import { getProjectFolder } from "./project-folder";
import type { EnginePort } from "./run/engine-port";

const OLDEST_NODE = 20;
const GRACE_MS = 10_000;

/** What this file needs of src/index.ts and src/engine, which are loaded only when a guest is to run. */
interface EngineModule {
  readonly Engine: { create(argv: readonly string[]): EnginePort };
}

/** What this file needs of src/callbacks. */
interface RegistryModule {
  unregisterModule(moduleHandle: number): void;
}

async function main(): Promise<number> {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    process.stderr.write(`rebox: this is Node ${process.version}; install Node ${OLDEST_NODE} or newer\n`);
    return ExitStatus.failure;
  }
  return runProgram(process.argv.slice(2), {
    // Required late: `rebox doctor` has to work where the addon does not.
    createEngine: (argv) => (require("../engine/engine") as EngineModule).Engine.create(argv),
    getApi: () => require("../index") as object,
    disposeModule: (handle) => (require("../callbacks/callback-registry") as RegistryModule).unregisterModule(handle),
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
