import { accessSync, constants, readdirSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { SettingError } from "../errors";
import { type ReadScope, SETTING_WORDS, type SettingWord } from "./settings-schema";

/** The rights that this user needs to a file. Each is checked by itself, and implies that the file exists. */
export interface PathRights {
  readonly mustExist?: boolean;
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly executable?: boolean;
}

/** Requirements on a network interface. */
export interface NetworkInterfaceNeeds {
  readonly mustExist?: boolean;
  /** Implies that it exists. */
  readonly mustBeUp?: boolean;
}

/** The types of settings that zod has not: `config.filePath({ executable: true }).default("/bin/sh")`. */
export const config = {
  /** The path of a file, made absolute: a relative one begins in the lab's folder. */
  filePath: (rights: PathRights = {}): z.ZodString => path("file", rights),
  /** The path of a folder, made absolute. */
  directoryPath: (rights: PathRights = {}): z.ZodString => path("folder", rights),
  /** The path of a unix socket, made absolute. */
  unixSocketPath: (rights: PathRights = {}): z.ZodString => path("unix socket", rights),
  /** The name of one of this host's network interfaces. */
  networkInterface: (needs: NetworkInterfaceNeeds = {}): z.ZodString =>
    word({
      accepted: "the name of a network interface such as br0",
      read: (text, scope) => readInterface(text, needs, scope),
    }),
  /** An IPv4 or IPv6 address. */
  ipAddress: (): z.ZodString =>
    word({
      accepted: "an IP address such as 192.168.30.101",
      read(text) {
        if (isIP(text) === 0) throw new SettingError();
        return text;
      },
    }),
  /** The address of a network card, made lower case. */
  macAddress: (): z.ZodString =>
    word({
      accepted: "a MAC address such as 52:54:00:12:34:56",
      read(text) {
        const address = text.toLowerCase();
        if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address)) throw new SettingError();
        return address;
      },
    }),
};

function word(own: SettingWord): z.ZodString {
  return z.string().register(SETTING_WORDS, own);
}

const PATH_KINDS = { file: "isFile", folder: "isDirectory", "unix socket": "isSocket" } as const;

const RIGHTS = [
  { right: "readable", mode: constants.R_OK, flag: "r" },
  { right: "writable", mode: constants.W_OK, flag: "w" },
  { right: "executable", mode: constants.X_OK, flag: "x" },
] as const;

function path(kind: keyof typeof PATH_KINDS, rights: PathRights): z.ZodString {
  return word({
    accepted: `the path of a ${kind}`,
    read(text, { folder, checksSystem }) {
      if (/[\n\0]/.test(text)) throw new SettingError();
      const absolute = resolve(folder, text);
      if (checksSystem) checkPath(absolute, kind, rights);
      return absolute;
    },
  });
}

function checkPath(absolute: string, kind: keyof typeof PATH_KINDS, rights: PathRights): void {
  const shown = JSON.stringify(absolute);
  const stats = statSync(absolute, { throwIfNoEntry: false });
  if (stats === undefined) {
    if (Object.values(rights).includes(true)) throw new SettingError(`is ${shown}, but there is no such ${kind}`);
    return;
  }
  if (!stats[PATH_KINDS[kind]]()) throw new SettingError(`is ${shown}, which is no ${kind}`);
  for (const { right, mode, flag } of RIGHTS) {
    if (!rights[right]) continue;
    try {
      accessSync(absolute, mode);
    } catch {
      throw new SettingError(`is ${shown}, which is not ${right} for this user; see ls -ld, or chmod +${flag}`);
    }
  }
}

/** The kernel's table of interfaces: Linux, Documentation/ABI/testing/sysfs-class-net. */
const INTERFACES = "/sys/class/net";
/** IFF_UP of linux/if.h. */
const FLAG_UP = 1;

function readInterface(name: string, needs: NetworkInterfaceNeeds, { checksSystem }: ReadScope): string {
  // dev_valid_name() of Linux' net/core/dev.c: at most 15 bytes, no slash, colon or blank.
  if (!/^[^/:\s]{1,15}$/.test(name) || name === "." || name === "..") throw new SettingError();
  const problem = checksSystem ? findInterfaceProblem(name, needs) : undefined;
  if (problem !== undefined) throw new SettingError(problem);
  return name;
}

/** Finds what is wrong with a network interface, as the end of a sentence: "is br0, but there is no such ...". */
export function findInterfaceProblem(name: string, needs: NetworkInterfaceNeeds): string | undefined {
  if (!(needs.mustExist || needs.mustBeUp)) return undefined;
  const known = readdirSync(INTERFACES);
  if (!known.includes(name)) {
    const advice = `this machine has ${known.join(", ")}; a bridge is made by "ip link add ${name} type bridge"`;
    return `is ${name}, but there is no such network interface; ${advice}`;
  }
  if (needs.mustBeUp && (Number(readFileSync(`${INTERFACES}/${name}/flags`, "utf8")) & FLAG_UP) === 0) {
    return `is ${name}, which is down; run "ip link set ${name} up"`;
  }
  return undefined;
}
