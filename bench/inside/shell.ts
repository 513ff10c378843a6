/** Measures how long a shell waits for its answers, through the socket, beside a busy guest: shell FOLDER <QEMU's arguments> */

import { join } from "node:path";
import { doors } from "../../src/doors/doors";
import { ControlClient } from "../../src/shell/line/control-client";
import { ControlServer } from "../../src/shell/line/control-server";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

/** In milliseconds. */
export interface ShellReport {
  /** The first time each line is asked, with what is made once for all: attaching is not in it. */
  readonly first: readonly { readonly line: string; readonly ms: number }[];
  /** Every later answer. */
  readonly later: readonly { readonly line: string; readonly ms: number }[];
}

const TURNS = 20;
/** What people ask while they look around; nothing that waits for the guest by its nature, as step does. */
const LINES = [
  ...["ps", "ps k*", "vmmap 1", "threads 1", "files 1", "sockets 1", "lm", "lm 1", "status"],
  ...[
    "x kernel!schedule",
    "x kernel!sched_*",
    "x *sched_clock*",
    "x kernel!*no_such_name*",
    "x *a*z*9*",
    "x kernel!*",
    "ln kernel!schedule+10",
  ],
  ...["dt list_head", "dt task_struct", "dt task_struct kernel!init_task", "dt *task*"],
  ...[
    "r",
    "r all",
    "db kernel!linux_banner:200",
    "dq rsp:40",
    "dq kernel!init_task:200",
    "strings kernel!linux_banner:1000",
  ],
  ...[
    's kernel!linux_banner:10000:"Linux"',
    "u kernel!schedule:20",
    "u kernel!schedule:200",
    "dis 10",
    "bt",
    "bt 2",
    "bl",
    "help",
  ],
  ...[
    "$here = rip",
    "!cpu.RAX",
    "!getProcessList().length",
    "hmp info registers",
    "bp kernel!kernel_power_off",
    "bc *",
    "bp nosuch!symbol",
    "bc *",
  ],
];

async function main([folder = "", ...argv]: readonly string[]): Promise<void> {
  process.env["XDG_CACHE_HOME"] = folder;
  createMachine(argv).run();
  await waitToProceed();
  const path = join(folder, "control");
  const server = await ControlServer.listen(path, doors);
  const client = await ControlClient.connect(path);
  const ask = async (line: string) => {
    const beganMs = performance.now();
    const { error } = await client.run(line);
    const ms = performance.now() - beganMs;
    if (error !== undefined) throw new Error(`${line}: ${error}`);
    return { line, ms };
  };
  await ask("ps");
  const first = [];
  for (const line of LINES) first.push(await ask(line));
  const later = [];
  for (let turn = 0; turn < TURNS; turn++) for (const line of LINES) later.push(await ask(line));
  client.close();
  server.close();
  const report: ShellReport = { first, later };
  process.send?.(report);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
