import { MachineNotFoundError, MachineryConnectionError, ProgramError } from "../../../errors";
import { runProgram } from "../../processes/run-program";

const LIMIT_MS = 15_000;
const PACKAGE = "libvirt-clients";

/** libvirt's command line, on one connection. Each command is a process of its own, with a limit: libvirt may hang. */
export class Virsh {
  /** @param uri of the connection: "qemu:///system" */
  constructor(readonly uri: string) {}

  /** Returns what `virsh -V` prints; no connection is made. */
  static readVersion(signal: AbortSignal): Promise<string> {
    return runProgram("virsh", ["-V"], { signal, timeoutMs: LIMIT_MS, packageName: PACKAGE });
  }

  /**
   * Runs a command.
   *
   * @param args its name and arguments
   * @returns what it prints
   * @throws MachineNotFoundError when there is no such domain; MachineryConnectionError when libvirt cannot be reached, or
   *   takes too long; ProgramError with what virsh says otherwise
   */
  async run(args: readonly string[], signal: AbortSignal, timeoutMs = LIMIT_MS): Promise<string> {
    try {
      const all = ["-c", this.uri, "-q", ...args];
      return await runProgram("virsh", all, { signal, timeoutMs, packageName: PACKAGE });
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      const said = error.stderr
        .trim()
        .replaceAll(/^error:\s*/gm, "")
        .replaceAll("\n", "; ");
      if (/failed to connect|Failed to connect|no connection driver/.test(said)) {
        throw new MachineryConnectionError(
          `libvirt cannot be reached by ${this.uri}: ${said}; is its daemon running (systemctl start libvirtd)?`,
        );
      }
      if (/failed to get domain|Domain not found/.test(said)) {
        throw new MachineNotFoundError(`${said}; virsh -c ${this.uri} list --all shows those that there are`);
      }
      throw error;
    }
  }
}

/** The output of `virsh -V`. */
export interface VirshVersion {
  /** "9.0.0". */
  readonly version: string;
  /** The hypervisors that it was compiled with, as it names them. */
  readonly hypervisors: readonly string[];
}

/** The names that virsh may have for what stands before "://" or "+" in a connection's URI, in lower case. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  qemu: ["qemu/kvm", "qemu"],
  xen: ["libxl", "xen"],
  vbox: ["virtualbox"],
  vmwareplayer: ["vmware"],
  vmwarews: ["vmware"],
  vmwarefusion: ["vmware"],
  vpx: ["esx"],
  gsx: ["esx"],
};

/** Parses what `virsh -V` prints; "" and none where it says nothing. */
export function parseVirshVersion(text: string): VirshVersion {
  const version = /libvirt (\d+(?:\.\d+)+)/.exec(text)?.[1] ?? "";
  const hypervisors = /^\s*Hypervisors:\s*(.*)$/m.exec(text)?.[1] ?? "";
  return { version, hypervisors: hypervisors.split(/\s+/).filter((name) => name !== "") };
}

/** Returns whether a virsh can reach the hypervisor of a connection's URI. */
export function supportsUri({ hypervisors }: VirshVersion, uri: string): boolean {
  const scheme = (/^([a-z]+)(?:\+[a-z0-9]+)?:/.exec(uri)?.[1] ?? "").toLowerCase();
  const names = NAMES[scheme] ?? [scheme];
  return hypervisors.some((name) => names.includes(name.toLowerCase()));
}
