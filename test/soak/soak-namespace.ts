import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const INSIDE = "REBOX_SOAK_NAMESPACE";
/** Written at a time when a disk is filled, in bytes. */
const CHUNK = 1 << 20;
/** No disk of a soak is larger, in bytes: that of the system is never filled. */
const LARGEST = 1 << 30;

/** Whether this process has a network and mounts of its own, so that it can cut its parts off and fill their disks. */
export const IS_NAMESPACE = process.env[INSIDE] === "yes";

/** Runs this program once more, in a network and with mounts of its own. @returns its status; undefined where the system does not permit that */
export function runInNamespace(): number | undefined {
  // Root of a container may lack the right; a host may lack the programs.
  const trial = "ip link set lo up && nft list tables > /dev/null && mount -t tmpfs tmpfs /mnt";
  if (spawnSync("unshare", ["--net", "--mount", "sh", "-c", trial]).status !== 0) return undefined;
  const { status } = spawnSync("unshare", ["--net", "--mount", process.execPath, ...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit", env: { ...process.env, [INSIDE]: "yes" } }); // prettier-ignore
  return status ?? 1;
}

/** The network of the soak: each host reaches database and store by an address of loopback of its own, which can be cut. */
export const network = {
  start(): void {
    execFileSync("ip", ["link", "set", "lo", "up"]);
    nft("add table ip soak; add chain ip soak output { type filter hook output priority 0; policy accept; }");
  },
  addressOf: (host: number) => `127.0.1.${host + 1}`,
  /** Loses every packet between a host and all others. */
  cut(host: number): void {
    const address = network.addressOf(host);
    nft(`add rule ip soak output ip daddr ${address} drop; add rule ip soak output ip saddr ${address} drop`);
  },
  mend: () => nft("flush chain ip soak output"),
};

function nft(commands: string): void {
  execFileSync("nft", ["-f", "-"], { input: `${commands.replaceAll("; add", "\nadd")}\n` });
}

/** Disks of a few MiB that can be filled. */
export const disks = {
  /** Makes a folder a small disk, with what it has. @param sizeMiB what the disk holds */
  make(folder: string, sizeMiB: number): void {
    const aside = `${folder}.aside`;
    cpSync(folder, aside, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", folder]);
    cpSync(aside, folder, { recursive: true });
    rmSync(aside, { recursive: true });
  },
  remove: (folder: string) => void spawnSync("umount", ["--lazy", folder]),
  /** Fills a disk to its last byte. */
  fill(folder: string): void {
    const { blocks, bsize } = statfsSync(folder);
    if (blocks * bsize > LARGEST) throw new Error(`${folder} is no small disk`);
    const balloon = join(folder, ".balloon");
    try {
      for (let count = 0; statfsSync(folder).bavail > 0; count++)
        writeFileSync(balloon, Buffer.alloc(CHUNK), { flag: count === 0 ? "w" : "a" });
    } catch {
      // It is full.
    }
  },
  empty: (folder: string) => rmSync(join(folder, ".balloon"), { force: true }),
};
