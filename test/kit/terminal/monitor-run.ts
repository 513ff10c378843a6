import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GuestRun, type GuestRunOptions, runGuest } from "../guests/guest-run";
import { HmpClient } from "../clients/hmp-client";
import { QmpClient } from "../clients/qmp-client";

/** A running guest with two monitors and QMP, each on a socket of its own. */
export interface MonitoredGuest {
  readonly first: HmpClient;
  readonly second: HmpClient;
  readonly qmp: QmpClient;
  /** Writes a script and returns its path. */
  write(name: string, source: string): string;
}

export interface MonitorRun extends GuestRun {
  /** The names of the sockets that are still there after the run. */
  readonly sockets: readonly string[];
}

/** Boots a guest, gives its monitors to use, and ends it unless that has been done. */
export async function withMonitors(
  use: (guest: MonitoredGuest) => Promise<void>,
  options: Partial<GuestRunOptions> = {},
): Promise<MonitorRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-monitor-"));
  const socket = (name: string) => join(folder, `${name}.sock`);
  const listen = (name: string) => `unix:${socket(name)},server=on,wait=off`;
  // Names of scripts begin at the configuration's folder.
  const config = join(folder, "pyrebox.conf");
  writeFileSync(config, "");
  try {
    const running = runGuest({
      task: null,
      timeoutMs: 120_000,
      ...options,
      reboxArgs: ["-c", config, "--monitor", `unix:${socket("first")}`, ...(options.reboxArgs ?? [])],
      qemuArgs: ["-monitor", listen("second"), "-qmp", listen("qmp"), ...(options.qemuArgs ?? [])],
    });
    const used = (async () => {
      const [first, second, qmp] = await Promise.all([
        HmpClient.connect(socket("first")),
        HmpClient.connect(socket("second")),
        QmpClient.connect(socket("qmp")),
      ]);
      const write = (name: string, source: string) => {
        writeFileSync(join(folder, name), source);
        return join(folder, name);
      };
      try {
        // Scripts are loaded before the guest is let go.
        await first.until("info status", (answer) => answer.includes("running"));
        if (options.script) await first.until("list_modules", (answer) => answer.startsWith("handle"));
        await use({ first, second, qmp, write });
      } finally {
        second.send("quit");
      }
      return [first, second, qmp];
    })();
    // A run that ends before it was used has something to say about why; a use that fails ends the run.
    const [run, clients] = await Promise.all([running, used]);
    clients.forEach((client) => client.close());
    return { ...run, sockets: readdirSync(folder).filter((name) => name.endsWith(".sock")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
