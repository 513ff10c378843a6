import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { TlsEvent, TlsOptions, TlsResult } from "./engine/tls";

const SETTINGS = {
  most_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("How large tls.jsonl may become."),
  most_events: z.int().min(0).default(1000).describe("How many pieces become events."),
  processes: z
    .enum(["target", "all"])
    .default("target")
    .describe("target: what the target's processes send and receive; all: that of every process."),
};

/** Records what is sent and received by TLS in the clear, into tls.jsonl, and the secrets that open a capture, into tls_keys.log. */
export default class Tls extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records what programs send and receive by OpenSSL, GnuTLS, NSS and Go in the clear, and keys for network.pcapng; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { most_bytes: mostBytes, most_events: mostEvents, processes } = this.options;
    const options: TlsOptions = {
      pieceFile: join(this.run.folder, "tls.jsonl"),
      keyFile: join(this.run.folder, "tls_keys.log"),
      ...{ mostBytes, mostEvents, isOfAll: processes === "all" },
    };
    this.observation = await this.observe("engine/tls.ts", { ...options }, (event) => {
      const { what, ...facts } = event as TlsEvent;
      this.run.addEvent(`tls.${what}`, { ...facts });
    });
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { pieces, secrets, cut } = (await this.observation.end()) as TlsResult;
    this.log.info(`${pieces} pieces are in tls.jsonl, ${secrets} secrets in tls_keys.log`);
    if (cut > 0) this.log.warn(`${cut} pieces more than fit into ${this.options.most_bytes} bytes (most_bytes)`);
    if (pieces > this.options.most_events) {
      this.log.warn(`${this.options.most_events} pieces are events, and no more (most_events)`);
    }
  }
}
