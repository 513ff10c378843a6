import { getFilesystems, openGuestPath } from "../../../guest/disks/file-systems";
import { GuestFile } from "../../../guest/disks/guest-file";
import { findFunctions, findThreadPlaces } from "../../../guest/hooking/find-functions";
import { diagnoseGuest, findGuest, findGuestRefusal, findSystem, getGuest, waitForGuest } from "../../../guest/guest";
import { writeGuestTypes, writeIsf } from "../../../guest/kernel-types";
import * as system from "../../../guest/operating-system";
import { listSystemCallEntries, listSystemCalls } from "../../../guest/system-calls";
import { listVolatilityPlugins, runVolatility } from "../../../guest/volatility/volatility";
import type { GuestModule } from "../../../systems/guest-system";
import type { LinuxGuest } from "../../../systems/linux/linux-guest";
import { LinuxProcess } from "../../../systems/linux/linux-process";
import type { VirtualMemory } from "../../../systems/memory/virtual-memory";
import { type DescribedObject, describeObject, getter, member, operation, type Operations } from "../operation";
import type { ScriptSession } from "../script-session";

const ASYNC = { isAsync: true } as const;
const FROZEN = { result: "frozen" } as const;
const OBJECT = { result: "object" } as const;

/** The guest's system, as functions of "rebox". */
export const SYSTEM_OPERATIONS: Operations = {
  diagnoseGuest: operation([], () => diagnoseGuest()),
  findProcess: operation(
    ["any"],
    (session, which) => findProcess(session, session.guests.add(getGuest()), which),
    OBJECT,
  ),
  findGuest: operation([], (session) => describe(session, findGuest()), OBJECT),
  findGuestRefusal: operation([], () => findGuestRefusal()),
  getGuest: operation([], (session) => describe(session, getGuest()), OBJECT),
  getModuleList: operation(["bigint"], (_session, pgd) => system.getModuleList(pgd).map(describeModule), OBJECT),
  getOsBits: operation([], () => system.getOsBits()),
  getProcessList: operation([], (session) => describeProcesses(session, getGuest()), OBJECT),
  getSymbolList: operation(["bigint", "string?"], (_, pgd, pattern) => system.getSymbolList(pgd, pattern), FROZEN),
  listSystemCallEntries: operation([], () => listSystemCallEntries()),
  listSystemCalls: operation([], () => listSystemCalls()),
  getSystemTime: operation([], () => system.getSystemTime()),
  symToVa: operation(["bigint", "string", "string"], (_, pgd, module, name) => system.symToVa(pgd, module, name)),
  vaToSym: operation(["bigint", "bigint"], (_, pgd, address) => system.vaToSym(pgd, address)),
  waitForGuest: operation(["number?"], async (session, timeoutMs) => describe(session, await waitForGuest(timeoutMs)), {
    ...ASYNC,
    ...OBJECT,
  }),
  writeGuestTypes: operation(["string"], ({ files }, path) => writeGuestTypes(files.getPath(path))),
  writeIsf: operation(["string"], ({ files }, path) => writeIsf(files.getPath(path))),
};

/** For hooks on functions, which the sandbox's own code sets: realm/fast/hooks.ts. */
export const HOOK_OPERATIONS: Operations = {
  "hooks.findFunctions": operation(["bigint", "bigint", "any"], (_session, pgd, base, which) =>
    findFunctions(pgd, base, typeof which === "bigint" ? which : String(which)),
  ),
  "hooks.findSystemKind": operation([], () => findSystem()?.kind),
  "hooks.findThreadPlaces": operation([], () => findThreadPlaces()),
};

const GUEST = ["number"] as const;
const PROCESS = ["number", "bigint", "number", "number"] as const;
const MEMORY = ["number", "bigint"] as const;

/** The members of a process that are read when they are asked for. */
const PROCESS_PARTS = [
  ...(["tgid", "uid", "credentials", "threads", "livingThread", "executable", "startTime", "startTimeNs"] as const),
  ...(["commandLine", "commandLineBytes", "environment", "isAlive"] as const),
  ...(["workingFolder", "rootFolder"] as const),
  ...(["memoryMap", "openFiles", "sockets", "mounts"] as const),
];

const MEMORY_CALLS = [
  ...(["read", "readSome", "view", "u8", "u16", "u32", "u64", "pointer", "text", "translate"] as const),
];

/** The objects that getGuest() leads to. Structs are apart: structs.ts. */
export const GUEST_OPERATIONS: Operations = {
  "Guest.clock": getter(GUEST, ({ guests }, id) => guests.get(id).clock, FROZEN),
  "Guest.findProcess": member(GUEST, ["any"], findProcess, OBJECT),
  // realm/guest.ts takes structs too.
  "guest.pathOf": operation(["number", "bigint"], ({ guests }, id, file) => guests.get(id).pathOf(file)),
  "Guest.getKernelLog": member(GUEST, [], ({ guests }, id) => guests.get(id).getKernelLog(), FROZEN),
  "Guest.getKernelModules": member(GUEST, [], ({ guests }, id) => guests.get(id).getKernelModules(), FROZEN),
  "Guest.getProcessList": member(
    GUEST,
    [],
    (session, id) => describeProcesses(session, session.guests.get(id)),
    OBJECT,
  ),
  "Guest.getNeighbours": member(GUEST, [], ({ guests }, id) => guests.get(id).getNeighbours(), FROZEN),
  "Guest.getNetworkInterfaces": member(GUEST, [], ({ guests }, id) => guests.get(id).getNetworkInterfaces(), FROZEN),
  "Guest.hostName": getter(GUEST, ({ guests }, id) => guests.get(id).hostName),
  // realm/guest.ts makes a map of processes of it.
  "guest.listSocketOwners": operation(["number", "any"], ({ guests }, id, pids) => {
    const [guest, wanted] = [guests.get(id), new Set(pids as number[])];
    const owners = guest.getSocketOwners(guest.getProcessList().filter(({ pid }) => wanted.has(pid)));
    return [...owners].map(([socket, processes]) => [socket, processes.map(({ pid }) => pid)]);
  }),
  "Guest.getSockets": member(GUEST, [], ({ guests }, id) => guests.get(id).getSockets(), FROZEN),

  "GuestKernel.findSymbol": member(GUEST, ["string..."], ({ guests }, id, ...names) =>
    guests.get(id).kernel.findSymbol(...names),
  ),
  "GuestKernel.offset": member(GUEST, ["string", "string..."], ({ guests }, id, struct, ...paths) =>
    guests.get(id).kernel.offset(struct, ...paths),
  ),
  "GuestKernel.sizeOf": member(GUEST, ["string"], ({ guests }, id, struct) => guests.get(id).kernel.sizeOf(struct)),
  "GuestKernel.space": member(GUEST, ["bigint"], (_, id, pgd) => describeObject("GuestMemory", [id, pgd]), OBJECT),
  "GuestKernel.symbol": member(GUEST, ["string..."], ({ guests }, id, ...names) =>
    guests.get(id).kernel.symbol(...names),
  ),

  "GuestTasks.list": member(GUEST, [], ({ guests }, id) => [...guests.get(id).tasks.list()], { result: "iterator" }),
  "GuestTasks.read": member(GUEST, ["bigint"], ({ guests }, id, kaddr) => guests.get(id).tasks.read(kaddr), FROZEN),

  "GuestSymbols.findAddress": member(GUEST, ["bigint", "string", "string"], ({ guests }, id, pgd, module, name) =>
    guests.get(id).symbols.findAddress(pgd, module, name),
  ),
  "GuestSymbols.findSymbol": member(GUEST, ["bigint", "bigint"], ({ guests }, id, pgd, address) =>
    guests.get(id).symbols.findSymbol(pgd, address),
  ),
  "GuestSymbols.getModules": member(
    GUEST,
    ["bigint"],
    ({ guests }, id, pgd) => guests.get(id).symbols.getModules(pgd).map(describeModule),
    OBJECT,
  ),
  "GuestSymbols.search": member(
    GUEST,
    ["bigint", "string"],
    ({ guests }, id, pgd, pattern) => [...guests.get(id).symbols.search(pgd, pattern)],
    { result: "iterator" },
  ),

  ...Object.fromEntries(
    PROCESS_PARTS.map((part) => [
      `GuestProcess.${part}`,
      getter(PROCESS, (session, ...key) => findByKey(session, ...key)[part], FROZEN),
    ]),
  ),
  ...Object.fromEntries(
    MEMORY_CALLS.map((call) => [
      `GuestMemory.${call}`,
      member(MEMORY, ["bigint", "number?"], (session, id, pgd, address, size) =>
        // Those that take no size do not look at it; the others say what is wrong with it.
        getMemory(session, id, pgd)[call](address, size as number),
      ),
    ]),
  ),
};

function describe(session: ScriptSession, guest: LinuxGuest | undefined): DescribedObject | undefined {
  if (guest === undefined) return undefined;
  const id = session.guests.add(guest);
  const { banner, release, bits, image, directMap } = guest.kernel;
  const memory = describeObject("GuestMemory", [id, 0n]);
  const facts = { banner, release, bits, image: { start: image.start, size: image.size }, directMap, memory };
  return describeObject("Guest", [id], {
    ...{ kind: guest.kind, version: guest.version, bits: guest.bits },
    kernel: describeObject("GuestKernel", [id], facts),
    tasks: describeObject("GuestTasks", [id]),
    symbols: describeObject("GuestSymbols", [id]),
  });
}

function describeModule({ contains: _, ...facts }: GuestModule): DescribedObject {
  return describeObject("GuestModule", [], facts);
}

function describeProcesses(session: ScriptSession, guest: LinuxGuest): DescribedObject[] {
  const id = session.guests.add(guest);
  return guest.getProcessList().map((process) => describeProcess(id, process));
}

function describeProcess(guest: number, process: LinuxProcess): DescribedObject {
  const { pid, ppid, pgd, name, kaddr, isKernelThread } = process;
  return describeObject("GuestProcess", [guest, kaddr, pid, ppid], { pid, ppid, pgd, name, kaddr, isKernelThread });
}

function findProcess({ guests }: ScriptSession, id: number, which: unknown): DescribedObject | undefined {
  const process = guests.get(id).findProcess(which as number);
  return process && describeProcess(id, process);
}

function findByKey(session: ScriptSession, id: number, kaddr: bigint, pid: number, ppid: number): LinuxProcess {
  const guest = session.guests.get(id);
  return new LinuxProcess(guest, { ...guest.tasks.read(kaddr), tgid: pid }, ppid);
}

/** @param pgd of a process; 0 for the kernel */
function getMemory({ guests }: ScriptSession, id: number, pgd: bigint): VirtualMemory {
  const { kernel } = guests.get(id);
  return pgd === 0n ? kernel.memory : kernel.space(pgd);
}

const FILE = ["number"] as const;
const VOLATILITY = { ...ASYNC, permission: "volatility", refusedAs: "Volatility" } as const;

/** The guest's disks, and Volatility. What of it runs when the script goes is ended. */
export const DISK_OPERATIONS: Operations = {
  getFilesystems: operation([], async () => (await getFilesystems()).map((one) => ({ ...one })), ASYNC),
  openGuestPath: operation(["number", "string", "any"], openPath, { ...ASYNC, ...OBJECT }),
  "GuestFile.offset": getter(FILE, ({ guestFiles }, id) => guestFiles.get(id).offset),
  "GuestFile.seek": member(FILE, ["number"], ({ guestFiles }, id, offset) => guestFiles.get(id).seek(offset)),
  "GuestFile.read": member(
    FILE,
    ["number?", "number?"],
    ({ guestFiles }, id, size, offset) => guestFiles.get(id).read(size, offset),
    ASYNC,
  ),
  "volatility.list": operation(
    ["text?"],
    async (_session, filter) => (await listVolatilityPlugins(filter)).map((plugin) => ({ ...plugin })),
    VOLATILITY,
  ),
  "volatility.run": operation(["text", "any", "any"], runPlugin, VOLATILITY),
};

async function openPath(session: ScriptSession, index: number, path: string, options: unknown): Promise<unknown> {
  const { source } = (options ?? {}) as { readonly source?: unknown };
  if (source !== undefined && typeof source !== "string") throw new TypeError("source is disk or disk+memory");
  const found = await openGuestPath(index, path, source === undefined ? {} : { source: source as "disk" });
  if (!(found instanceof GuestFile)) return found?.map((one) => ({ ...one }));
  const { name, size, mode, uid, gid, modified } = found;
  const facts = { path: found.path, name, size, mode, uid, gid, modified };
  return describeObject("GuestFile", [session.guestFiles.add(found)], facts);
}

/** The options that a script in the sandbox may choose. */
interface GivenOptions {
  readonly pause?: unknown;
  readonly timeoutMs?: unknown;
  readonly outputFolder?: unknown;
}

async function runPlugin(session: ScriptSession, plugin: string, args: unknown, given: unknown): Promise<object> {
  const { pause, timeoutMs, outputFolder } = (given ?? {}) as GivenOptions;
  const abort = new AbortController();
  const owned = session.owner.own(() => abort.abort());
  try {
    const result = await runVolatility(plugin, ((args ?? []) as unknown[]).map(String), {
      pause: pause !== false,
      ...(timeoutMs === undefined ? {} : { timeoutMs: Number(timeoutMs) }),
      signal: abort.signal,
      // Without a folder that the script may use, there is none for what plugins extract.
      outputFolder: typeof outputFolder === "string" ? session.files.getPath(outputFolder) : null,
    });
    return { ...result };
  } finally {
    owned.release();
  }
}
