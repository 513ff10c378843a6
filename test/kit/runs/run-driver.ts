// The real `rebox` with a fake engine, as a process of its own, for tests with real signals. Its environment says what
// the engine does: FAKE_END=<cause> ends the guest at once; without it the guest runs on.
import { createDoors } from "../../../src/scripts/loading/doors";
import { runProgram } from "../../../src/cli/program";
import { getProjectFolder } from "../../../src/config/folders";
import { FakeEngine } from "./fake-engine";

const cause = process.env.FAKE_END;

runProgram(process.argv.slice(2), {
  createEngine: (argv) =>
    new FakeEngine(argv, {
      ignoresQuit: process.env.FAKE_HANG !== undefined,
      onRun: (engine) => {
        // A real engine keeps the event loop alive.
        setInterval(() => undefined, 1000);
        if (cause !== undefined) engine.finish({ reason: "shutdown", cause });
      },
    }),
  getApi: () => createDoors(),
  configureGuest: () => undefined,
  nameModule: () => undefined,
  replaceModule: () => () => undefined,
  disposeModule: () => undefined,
  serveMonitors: () => () => undefined,
  stdout: process.stdout,
  stderr: process.stderr,
  processEvents: process,
  exitNow: (status) => process.exit(status),
  projectFolder: getProjectFolder(),
  graceMs: 5_000,
}).then((status) => process.exit(status));
