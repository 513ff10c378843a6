import type { CpuFacts, GuestSource } from "../../memory/guest-source";
import { AddressError, AttachError, BtfError, MissingTypeError, ProfileError } from "../../errors";
import { Ram } from "../../memory/ram";
import { Btf } from "../../symbols/btf";
import { Kallsyms } from "../../symbols/kallsyms/kallsyms";
import type { KallsymsLocation } from "../../symbols/kallsyms/kallsyms-location";
import { locateKallsyms } from "../../symbols/kallsyms/kallsyms-locator";
import type { KernelIdentity, KernelProfile } from "../../symbols/profile";
import { LayeredSymbols, ShiftedSymbols, type SymbolTable } from "../../symbols/symbol-table";
import type { TypeSource } from "../../symbols/type-source";
import {
  type AttachTrace,
  describeCpus,
  describeIdentity,
  describeImage,
  describePageTables,
  describeSymbols,
  describeTypes,
} from "./attach-evidence";
import { type BtfSection, findBtf } from "./btf-section";
import { findDirectMap } from "./direct-map";
import { findKernelImage } from "./kernel-image";
import { type KernelImage, LinuxKernel } from "../structs/linux-kernel";
import type { KernelMemory } from "./kernel-facts";
import { recallKernel, rememberKernel } from "./kernel-recall";
import { readBanner, readKernelIdentity } from "./kernel-identity";

/** Finds a profile for a kernel that does not say everything about itself; undefined when there is none. */
export type ProfileFinder = (identity: KernelIdentity) => KernelProfile | undefined;

export interface AttachOptions {
  /** Asked for kernels without BTF or without symbols of data. */
  readonly findProfile?: ProfileFinder;
  /** The memory of kernels that were seen before. */
  readonly memory?: KernelMemory;
  /** Called with each step that has succeeded. */
  readonly trace?: AttachTrace;
}

/** The most that a kernel continues behind its table of symbols, in bytes. */
const BEHIND_SYMBOLS = 16 * 1024 * 1024;

/** TASK_COMM_LEN */
const LONGEST_NAME = 16;

const PROFILE_ADVICE = "make a profile from the kernel's debug package: rebox profile";

/**
 * Finds the Linux kernel of a guest, from nothing but its memory and registers.
 *
 * @throws AttachError that says which step failed, on what evidence, and what to try; its isEarly tells that the guest
 *   has not started a kernel yet
 */
export function attachLinux(source: GuestSource, options: AttachOptions = {}): LinuxKernel {
  const cpus = source.cpus();
  let isKernel = false;
  const trace: AttachTrace = (step, evidence) => {
    isKernel ||= step === "symbols";
    options.trace?.(step, evidence);
  };
  try {
    return attach(new Ram(source), cpus, { ...options, trace });
  } catch (error) {
    const isSetUp = cpus.some(({ lstar, sysenterEip }) => lstar !== 0n || sysenterEip !== 0n);
    // A kernel with symbols, which lacks something else, will lack it later, too.
    if (!(error instanceof AttachError) || isSetUp || isKernel) throw error;
    // Without an entry for system calls, whatever there is has not come far: a boot loader, or a kernel's first steps.
    throw new AttachError(error.step, error.evidence, "try again when the kernel has started", true);
  }
}

function attach(ram: Ram, cpus: readonly CpuFacts[], { findProfile, memory, trace }: AttachOptions): LinuxKernel {
  const image = findKernelImage(ram, cpus);
  trace?.("cpu", describeCpus(cpus, image));
  trace?.("image", describeImage(image));
  // Only what the kernel does not change is read of these bytes, so a copy serves as well.
  const bytes = ram.findBytes(image.physical, image.size) ?? ram.copyBytes(image.physical, image.size);
  if (!bytes) {
    throw new AttachError(
      "image",
      `the kernel's image at physical 0x${image.physical.toString(16)}, ${image.size} bytes, is not wholly in RAM`,
      "try again when the kernel has started",
      true,
    );
  }
  const directMap = findDirectMap(ram, image);
  if (!directMap) throw createEarlyError(image.root);
  trace?.("page-tables", describePageTables(image, directMap));
  const remembered = memory && recallKernel({ ram, image, directMap, bytes }, memory);
  if (remembered) return withOwnTables(remembered);
  const { own, location } = findSymbols(image, bytes);
  trace?.("symbols", describeSymbols(image, own, location));
  const section = findBtf(image, bytes, own);
  const ownTypes = section && readTypes(image, bytes, section);
  const isWhole = ownTypes !== undefined && own.findAddress("init_task") !== undefined;
  const bannerAt = own.findAddress("linux_banner");
  const banner = bannerAt === undefined ? undefined : readBanner(bytes, Number(bannerAt - image.start));
  const identity: KernelIdentity =
    isWhole && banner !== undefined
      ? { banner, buildIds: [] }
      : readKernelIdentity(cutImage(image, bytes, own, location), banner);
  trace?.("banner", describeIdentity(identity));
  const profile = isWhole ? undefined : askForProfile(identity, findProfile);
  const types: TypeSource | undefined = ownTypes ?? profile?.types;
  if (!types) throw missing(identity, "types", "no BTF in its memory (CONFIG_DEBUG_INFO_BTF)");
  const symbols = profile ? addProfile(image, own, profile) : own;
  if (symbols.findAddress("init_task") === undefined) {
    throw missing(identity, "symbols", "no symbols of data (CONFIG_KALLSYMS_ALL)");
  }
  trace?.("types", describeTypes(image, types, section, profile));
  const found = new LinuxKernel({ ram, image, directMap, symbols, types, banner: identity.banner });
  // Before its tables are looked at: a booting kernel is asked again until it has them, and would stand still while all is read anew.
  if (memory && section && isWhole) rememberKernel(found, bytes, { kallsyms: location, section }, memory);
  const kernel = withOwnTables(found);
  if (profile) checkFirstTask(kernel, profile);
  return kernel;
}

/**
 * Takes the map of physical memory from the kernel's own page tables. Those with which it begins (early_top_pgt) map only what was
 * touched, and elsewhere than later when KASLR chooses.
 *
 * @throws AttachError when its own do not map it yet
 */
function withOwnTables(kernel: LinuxKernel): LinuxKernel {
  const { ram, image, memory, symbols, types, banner } = kernel;
  if (memory.root === image.root) return kernel;
  const directMap = findDirectMap(ram, { ...image, root: memory.root });
  if (!directMap) throw createEarlyError(memory.root);
  if (directMap.start === kernel.directMap.start) return kernel;
  return new LinuxKernel({ ram, image, directMap, symbols, types, banner, offsets: kernel.asked.offsets });
}

function createEarlyError(root: number): AttachError {
  const evidence = `the page tables at 0x${root.toString(16)} do not map physical memory in one piece`;
  return new AttachError("page-tables", evidence, "try again when the kernel has started", true);
}

/** A profile that does not say which kernel it is for may be of another one: its first task then is no task. */
function checkFirstTask(kernel: LinuxKernel, profile: KernelProfile): void {
  const task = kernel.symbol("init_task");
  let problem: string;
  try {
    const name = kernel.at("task_struct", task).text(LONGEST_NAME, "comm");
    if (/^swapper(\/0)?$/.test(name)) return;
    problem = `is called ${JSON.stringify(name)}, not "swapper"`;
  } catch (error) {
    if (!(error instanceof AddressError || error instanceof MissingTypeError)) throw error;
    problem = `cannot be read: ${error.message}`;
  }
  throw new AttachError(
    "types",
    `by ${profile.origin} the kernel's first task is at 0x${task.toString(16)}, and ${problem}: it is of another kernel`,
    PROFILE_ADVICE,
  );
}

/**
 * Cuts off what is not the kernel's: a 32-bit image was found with the memory around it, where other programs' build ids are.
 * Constants, notes and what the kernel was started with lie behind the text and around the symbols.
 */
function cutImage(image: KernelImage, bytes: Uint8Array, own: Kallsyms, location: KallsymsLocation): Uint8Array {
  const text = own.findAddress("_text") ?? own.findAddress("_stext") ?? image.start;
  const start = Math.max(0, Number(text - image.start));
  return bytes.subarray(start, Math.max(start, location.tokenIndex + BEHIND_SYMBOLS));
}

/** Asks for a profile. One that cannot be used is an error of its own, since continuing without it would hide the reason. */
function askForProfile(identity: KernelIdentity, findProfile: ProfileFinder | undefined): KernelProfile | undefined {
  try {
    return findProfile?.(identity);
  } catch (error) {
    if (!(error instanceof ProfileError || error instanceof BtfError)) throw error;
    throw new AttachError("types", error.message, PROFILE_ADVICE);
  }
}

function missing({ banner, buildIds }: KernelIdentity, step: "types" | "symbols", what: string): AttachError {
  const who = /^Linux version \S+/.exec(banner)?.[0] ?? "the kernel";
  const ids = buildIds.length > 0 ? ` (build id ${buildIds.join(" or ")})` : "";
  return new AttachError(step, `${who}${ids} has symbols, but ${what}, and no profile fits`, PROFILE_ADVICE);
}

function findSymbols(image: KernelImage, bytes: Uint8Array): { own: Kallsyms; location: KallsymsLocation } {
  const { pointerSize } = image.tables;
  const location = locateKallsyms(bytes, image.start, pointerSize, image.entryPoints);
  if (typeof location === "string") {
    const end = image.start + BigInt(image.size);
    throw new AttachError(
      "symbols",
      `in the image at 0x${image.start.toString(16)} to 0x${end.toString(16)} ${location}`,
      "either it is not Linux, or a kernel without symbols (CONFIG_KALLSYMS)",
    );
  }
  return { own: new Kallsyms(bytes, image.start, pointerSize, location), location };
}

/** Adds the symbols that only the profile has, moved by as much as KASLR moved the others. */
function addProfile(image: KernelImage, own: Kallsyms, profile: KernelProfile): SymbolTable {
  for (const name of ["_text", "_stext"]) {
    const here = own.findAddress(name);
    const there = profile.symbols.findAddress(name);
    if (here === undefined || there === undefined) continue;
    const bits = image.tables.pointerSize === 8 ? 64 : 32;
    return new LayeredSymbols(own, new ShiftedSymbols(profile.symbols, here - there, bits));
  }
  throw new AttachError("symbols", `${profile.origin} does not say where the kernel's text begins`, PROFILE_ADVICE);
}

function readTypes(image: KernelImage, bytes: Uint8Array, section: BtfSection): Btf {
  try {
    return new Btf(bytes.slice(section.at, section.at + section.size), image.tables.pointerSize);
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw new AttachError("types", `the kernel's BTF is damaged: ${error.message}`, "try a fresh start of the guest");
  }
}
