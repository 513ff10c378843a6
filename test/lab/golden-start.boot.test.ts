import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Execute,
  freeze,
  getCloneDevices,
  getRamArguments,
  reserveRam,
  thaw,
  THAW_ARGUMENTS,
} from "../../src/lab/machinery/drivers/qemu/golden-start";
import { QmpClient } from "../../src/lab/machinery/drivers/qemu/qmp-client";
import { GoldenFiles } from "../../src/lab/machinery/golden/golden-state";
import { inFolder } from "../kit/in-folder";
import { guestArgs } from "../kit/guests/guest-args";
import { createDisk } from "../kit/guests/snapshot-run";
import { untilTrue } from "../kit/lab/lab-run";
import { REBOX } from "../kit/project";

const LIMIT_MS = 60_000;
const SIZE = 256n << 20n;
const NEVER = new AbortController().signal;

/** Runs QEMU with these arguments for as long as `use` does something with its monitor. */
async function withMachine(folder: string, args: readonly string[], use: (execute: Execute) => Promise<void>) {
  const socket = join(folder, "qmp");
  const child = spawn(process.execPath, [REBOX, "run", "--", ...args, "-qmp", `unix:${socket},server=on,wait=off`], {
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  try {
    await untilTrue(() => existsSync(socket));
    const qmp = await QmpClient.connect(socket, LIMIT_MS, NEVER);
    await use((command, words = {}) => qmp.execute(command, words, LIMIT_MS, NEVER));
    await qmp.execute("quit", {}, LIMIT_MS, NEVER);
    qmp.close();
  } finally {
    setTimeout(() => child.kill("SIGKILL"), 5_000).unref();
    await exited;
  }
}

test("a snapshot of a machine that continues from a golden state has its RAM, also while that is shared with the next state", () =>
  inFolder(async (folder) => {
    const [files, serial] = [new GoldenFiles(folder), join(folder, "serial")];
    const machine = [
      ...guestArgs(serial, "idle", undefined),
      ...["-drive", `file=${createDisk(folder, "qcow2")},format=qcow2,if=virtio`],
      ...[...getRamArguments(files, SIZE, true), ...getCloneDevices([])],
    ];
    await reserveRam(files, SIZE, NEVER);
    await withMachine(folder, machine, async (execute) => {
      await untilTrue(() => existsSync(serial) && readFileSync(serial, "latin1").includes("rebox-guest"));
      await freeze(execute, files, NEVER);
    });
    await withMachine(folder, [...machine, ...THAW_ARGUMENTS], async (execute) => {
      const hmp = (line: string) => execute("human-monitor-command", { "command-line": line });
      const readRam = async (name: string) => {
        await execute("pmemsave", { val: 0, size: Number(SIZE), filename: join(folder, name) });
        return readFileSync(join(folder, name));
      };
      await thaw(execute, files.devices, NEVER);
      await execute("stop");
      const before = await readRam("before");
      assert.equal(await hmp("savevm here"), "");
      await execute("cont");
      await sleep(1_000);
      await execute("stop");
      assert.ok(!before.equals(await readRam("later")), "the guest has worked");
      assert.equal(await hmp("loadvm here"), "");
      assert.ok(before.equals(await readRam("again")));
    });
  }));
