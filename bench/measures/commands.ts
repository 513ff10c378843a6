import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { alternate } from "../alternation";
import { getBuildFolder, getGuestArguments } from "../guest-arguments";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

const REBOX = join(getBuildFolder(), "js/src/cli/main.js");
/** Commands are short: each sample is the shortest of this many runs, which the work of others disturbs least. */
const RUNS = 5;

/** How long commands take that people and programs wait for, beside Node alone. */
export const commands: Measure = {
  name: "commands",
  async run(context) {
    const version = new SampleCollection("commands: rebox --version", "ms", {
      of: "ratio",
      bound: "at most",
      value: 1.5,
    });
    const attach = new SampleCollection('commands: rebox attach SOCKET "ps"', "ms", {
      ...({ of: "ratio", bound: "at most", value: 2 } as const),
    });
    const first = new SampleCollection("commands: rebox run, the guest runs", "ms", {
      ...({ of: "value", bound: "at most", value: 350 } as const),
    });
    const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
    const socket = join(folder, "control");
    const server = await listen(socket);
    try {
      // The first run of a command keeps what V8 has compiled.
      for (const args of [["--version"], ["attach", socket, "ps"]]) await takeShortest([REBOX, ...args]);
      await takeUntilRunning();
      await alternate(this.name, context, async (side) => {
        if (side === "plain") {
          const nodeMs = await takeShortest(["-e", "0"]);
          version.addPlain(nodeMs);
          return attach.addPlain(nodeMs);
        }
        version.addRebox(await takeShortest([REBOX, "--version"]));
        attach.addRebox(await takeShortest([REBOX, "attach", socket, "ps"]));
        first.addRebox(await takeUntilRunning());
      });
    } finally {
      server.close();
      rmSync(folder, { recursive: true });
    }
    return [version, attach, first].map((row) => row.toRow());
  },
};

/** Answers each line at once, as a control socket of a guest that has nothing to say. */
async function listen(socket: string) {
  const server = createServer((client) => {
    createInterface({ input: client }).on("line", (text) => {
      const { id } = JSON.parse(text) as { id: number };
      client.write(`${JSON.stringify({ id, text: "", data: null, prompt: "> ", isOver: false })}\n`);
    });
  });
  await once(server.listen(socket), "listening");
  return server;
}

/** Runs Node some times, and returns the shortest time, in milliseconds. */
async function takeShortest(args: readonly string[]): Promise<number> {
  let shortestMs = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const beganMs = performance.now();
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const [status] = (await once(child, "exit")) as [number | null];
    if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}`);
    shortestMs = Math.min(shortestMs, performance.now() - beganMs);
  }
  return shortestMs;
}

/** Returns the time from the start of `rebox run` until its guest runs, in milliseconds. */
async function takeUntilRunning(): Promise<number> {
  const beganMs = performance.now();
  const args = ["run", "--json", "-", "--monitor", "none", "--", ...getGuestArguments("poweroff"), "-serial", "none"];
  const child = spawn(process.execPath, [REBOX, ...args], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    for await (const line of createInterface({ input: child.stdout! })) {
      if (line.includes('"type":"running"')) return performance.now() - beganMs;
    }
    throw new Error("rebox run ended before its guest ran");
  } finally {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}
