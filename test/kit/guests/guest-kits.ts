import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";

const GUESTS = join(PROJECT, "build/guest");

/** A kernel with its initramfs, as set-up built it. */
export interface GuestKit {
  /** The release, as `uname -r` prints it. */
  readonly release: string;
  /** The Debian package, or the path that it was made of. */
  readonly package: string;
  readonly architecture: "amd64" | "i386";
  /** Paths. */
  readonly kernel: string;
  readonly initramfs: string;
  /** The kernel's profile; undefined when it needs none. */
  readonly profile?: string;
}

/** Reads the description of a kit; undefined when set-up has left it out. */
function findKit(directory: string): GuestKit | undefined {
  const description = join(directory, "guest.json");
  if (!existsSync(description)) return undefined;
  const profile = join(directory, "kernel.profile");
  const facts = JSON.parse(readFileSync(description, "utf8")) as Record<string, string>;
  return {
    release: facts.release!,
    package: facts.kernel!,
    architecture: facts.architecture as GuestKit["architecture"],
    kernel: join(directory, facts.vmlinuz!),
    initramfs: join(directory, facts.initramfs!),
    ...(existsSync(profile) ? { profile } : {}),
  };
}

/** Gets the kit of Debian's kernel for virtual machines in this machine's release. */
export function defaultKit(): GuestKit {
  const kit = findKit(GUESTS);
  if (!kit) throw new Error(`there is no guest kit in ${GUESTS}: npm run setup -- --for test`);
  return kit;
}

/** Lists the kits of all kernels at hand, each release once, the default one first. */
export function listKits(): GuestKit[] {
  const others = readdirSync(GUESTS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => findKit(join(GUESTS, entry.name)))
    .filter((kit) => kit !== undefined);
  const kits = [defaultKit(), ...others];
  return kits.filter((kit, index) => kits.findIndex(({ release }) => release === kit.release) === index);
}
