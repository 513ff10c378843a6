/** What `virsh -V` tells. */
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

/** Tells whether a virsh can reach the hypervisor of a connection's URI. */
export function supportsUri({ hypervisors }: VirshVersion, uri: string): boolean {
  const scheme = (/^([a-z]+)(?:\+[a-z0-9]+)?:/.exec(uri)?.[1] ?? "").toLowerCase();
  const names = NAMES[scheme] ?? [scheme];
  return hypervisors.some((name) => names.includes(name.toLowerCase()));
}
