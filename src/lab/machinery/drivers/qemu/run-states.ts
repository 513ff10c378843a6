import type { MachineState } from "../../records/lab-machine";

/** The states that QEMU's run states stand for; the names are those of RunState in QEMU's qapi/run-state.json. */
export const RUN_STATES: Readonly<Record<string, MachineState>> = {
  // Being built, or waiting for the first "cont".
  preconfig: "starting",
  prelaunch: "paused",
  inmigrate: "starting",
  running: "running",
  // "stop", a debugger, a migration that has gone through: the guest is paused and can continue.
  paused: "paused",
  debug: "paused",
  postmigrate: "paused",
  "finish-migrate": "paused",
  "restore-vm": "paused",
  "save-vm": "paused",
  colo: "paused",
  suspended: "suspended",
  // With -no-shutdown only: the guest is off, QEMU is not.
  shutdown: "stopping",
  "guest-panicked": "error",
  "internal-error": "error",
  "io-error": "error",
  watchdog: "error",
};
