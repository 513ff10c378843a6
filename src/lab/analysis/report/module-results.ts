import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { NameQuestion } from "./network/name-questions";
import { type NetworkSummary, readNetworkFlows } from "./network/network-flows";
import { listWebRequests, type WebRequest } from "./network/web-requests";

/** In bytes: a larger file of a module was not written by it. */
const LARGEST_JSON = 64 << 20;

/** The files of modules that record frames. */
const CAPTURE_FILES = ["network.pcapng", "dump.pcap"];

/** What a process called: the kernel, as the module syscalls has recorded it, or functions of libraries, as apicalls has. */
export interface CalledProcess {
  readonly pid: number;
  readonly name: string;
  /** The names of calls with their numbers, those that were made most often first. */
  readonly calls: readonly (readonly [name: string, count: number])[];
}

/** A measurement of the module usage. */
export interface UsageRow {
  readonly time: string;
  readonly [fact: string]: unknown;
}

/** The recorded network of an analysis. */
export interface NetworkResults {
  /** By the file. */
  readonly captures: readonly (NetworkSummary & { readonly file: string })[];
  /** Pages that were asked for in a simulated network. */
  readonly webRequests: readonly WebRequest[];
}

/** Results of auxiliary modules that a report shows in a way of its own. */
export interface ModuleResults extends NetworkResults {
  readonly systemCalls: readonly CalledProcess[];
  readonly libraryCalls: readonly CalledProcess[];
  readonly usage: readonly UsageRow[];
}

/** Lists the names that were asked for in an analysis, by what its modules have recorded in its folder. */
export function listNameQuestions(folder: string): NameQuestion[] {
  return readCaptures(folder).flatMap(({ names }) => names);
}

function readCaptures(folder: string): ModuleResults["captures"] {
  return CAPTURE_FILES.flatMap((file) => {
    const path = join(folder, file);
    const summary = existsSync(path) ? readNetworkFlows(path) : undefined;
    return summary === undefined ? [] : [{ file, ...summary }];
  });
}

/** Reads what was recorded of the network in the folder of an analysis. */
export function readNetworkResults(folder: string): NetworkResults {
  return { captures: readCaptures(folder), webRequests: listWebRequests(folder) };
}

/** Reads the results of the shipped auxiliary modules in the folder of an analysis; damaged ones are left out. */
export function readModuleResults(folder: string): ModuleResults {
  return {
    ...readNetworkResults(folder),
    systemCalls: readCalls(folder, "syscalls.json"),
    libraryCalls: readCalls(folder, "apicalls.json"),
    usage: listOf(findJson(join(folder, "usage.json")), "samples").flatMap((row) =>
      typeof row.time === "string" ? [row as UsageRow] : [],
    ),
  };
}

/** Reads what processes called. @param file of the module syscalls or apicalls, in the folder of an analysis */
export function readCalls(folder: string, file: "syscalls.json" | "apicalls.json"): CalledProcess[] {
  return listOf(findJson(join(folder, file)), "processes").flatMap(readCalled);
}

function readCalled({ pid, name, calls }: Readonly<Record<string, unknown>>): CalledProcess[] {
  if (typeof pid !== "number" || typeof name !== "string" || typeof calls !== "object" || calls === null) return [];
  const counts = Object.entries(calls).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  return [{ pid, name, calls: counts.sort(([, one], [, other]) => other - one) }];
}

/** Lists the objects in a member of a value that should have a list there. */
export function listOf(value: unknown, member: string): Readonly<Record<string, unknown>>[] {
  const list = (value as Record<string, unknown> | undefined)?.[member];
  if (!Array.isArray(list)) return [];
  return list.filter((each): each is Record<string, unknown> => typeof each === "object" && each !== null);
}

/** Reads a file of JSON that an analysis which was killed may not have written whole. */
export function findJson(file: string): unknown {
  try {
    if (statSync(file).size > LARGEST_JSON) return undefined;
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
