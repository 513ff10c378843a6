import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { CaptureOptions, CaptureResult } from "./engine/netcapture";

const SETTINGS = {
  most_bytes: z
    .int()
    .min(1024)
    .default(256 << 20)
    .describe("How large the file may become."),
  agent_port: z
    .int()
    .min(0)
    .max(65535)
    .default(8000)
    .describe("Where an agent in the machine listens; its frames are left out. 0: there is none."),
};

/** Records the frames of the machine's network cards, seen from within its engine, into network.pcapng, each with its process: no root, no tcpdump. */
export default class NetCapture extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records the frames of the machine's network cards and their processes, into network.pcapng; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { ip, resultServer } = this.machine;
    const { most_bytes: mostBytes, agent_port: port } = this.options;
    const options: CaptureOptions = {
      file: join(this.run.folder, "network.pcapng"),
      mostBytes,
      without: [
        ...(ip === undefined || port === 0 ? [] : [{ ip, port }]),
        ...(resultServer === undefined ? [] : [resultServer]),
      ],
    };
    this.observation = await this.observe("engine/netcapture.ts", options, () => {});
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { frames, cut } = (await this.observation.end()) as CaptureResult;
    this.log.info(`${frames} frames are in network.pcapng`);
    if (cut > 0) this.log.warn(`${cut} frames more than fit into ${this.options.most_bytes} bytes (most_bytes)`);
  }
}
