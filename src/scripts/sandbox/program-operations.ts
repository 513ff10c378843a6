import { spawn, spawnSync } from "node:child_process";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import type { Caller, Operations } from "./operation";

/** Creates what is behind node:child_process in the sandbox. What runs when the script goes is killed. */
export function createProgramOperations(caller: Caller, owner: ModuleOwner, isPermitted: boolean): Operations {
  const demand = () => caller.demand(isPermitted, "other programs", "child_process");
  return {
    "program.runSync": (file, args, input) => {
      demand();
      const given = input === undefined ? {} : { input: input as string | Uint8Array };
      const { status, signal, stdout, stderr, error } = spawnSync(String(file), (args as unknown[]).map(String), given);
      if (error) throw error;
      return { status, signal, stdout, stderr };
    },
    "program.run": (file, args) => {
      demand();
      return new Promise((resolve, reject) => {
        const child = spawn(String(file), (args as unknown[]).map(String), { stdio: ["ignore", "pipe", "pipe"] });
        const owned = owner.own(() => void child.kill("SIGKILL"));
        const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
        child.stdout.on("data", (bytes: Buffer) => stdout.push(bytes));
        child.stderr.on("data", (bytes: Buffer) => stderr.push(bytes));
        child.on("error", (error) => {
          owned.release();
          reject(error);
        });
        child.on("close", (status, signal) => {
          owned.release();
          resolve({ status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
        });
      });
    },
  };
}
