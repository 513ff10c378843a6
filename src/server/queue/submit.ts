import { findClusterSettings } from "../../lab/cluster/cluster-settings";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { AnalysisRequest } from "../../lab/analysis/analysis-database";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import { existsSync } from "node:fs";
import type { Caller } from "../accounts/roles";
import { BadRequestError, ConflictError, NotThereError } from "../errors";
import type { ServerParts } from "../server-parts";
import type { StoredSample } from "./sample-store";
import { isWanted, listContents } from "../../lab/keeping/wanted-content";
import { createRequests, SUBMISSION } from "./submission";

/** Who does something, from where. */
export interface Doer {
  readonly caller: Caller;
  /** The address that the request came from. */
  readonly address: string;
}

/**
 * Adds the analyses that a request asks for: of each of its files, or of a command alone.
 *
 * @param given the fields of a form, or members of JSON
 * @param form the fields of another tool's form of which those were made
 * @returns their numbers
 * @throws BadRequestError, AccessError, NotThereError
 */
export async function submit(
  parts: ServerParts,
  { caller, address }: Doer,
  given: Readonly<Record<string, unknown>>,
  samples: readonly StoredSample[],
  form?: Readonly<Record<string, string>>,
): Promise<number[]> {
  const parsed = SUBMISSION.safeParse(dropEmpty(given));
  if (!parsed.success) throw new BadRequestError(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")); // prettier-ignore
  await checkMachines(parts, parsed.data.machine);
  const targets = samples.length === 0 ? [undefined] : samples;
  const all = targets.flatMap((sample) => createRequests(parsed.data, sample?.path, caller, form).map((request) => ({ request, sample }))); // prettier-ignore
  const ids = all.map(({ request, sample }) => add(parts, request, sample));
  const names = samples.map(({ name, sha256 }) => `${name} ${sha256}`).join(", ");
  parts.accounts.audit.add(caller.user, address, "submit", `analysis ${ids.join(", ")}: ${names || parsed.data.command || ""}`); // prettier-ignore
  parts.dispatcher.wake();
  return ids;
}

/** Asks for an analysis again. @returns its number @throws NotThereError; ConflictError when its target is gone */
export function repeat(parts: ServerParts, { caller, address }: Doer, id: number): number {
  const { search, accounts } = parts;
  const found = search.find(id);
  if (found === undefined) throw new NotThereError(`there is no analysis ${id}`);
  const { machine, target, command, options, timeoutS, scripts, network, start, archive, choice, submission } = found;
  if (target !== undefined && !existsSync(target)) throw new ConflictError(`the target of analysis ${id} is gone; send it again`); // prettier-ignore
  const request: AnalysisRequest = {
    ...{ machine, target, command, options, timeoutS, scripts, network },
    ...(start === undefined ? {} : { start }),
    ...(archive === undefined ? {} : { archive }),
    ...(choice === undefined ? {} : { choice }),
    submission: { priority: 1, ...submission, by: caller.user },
  };
  const isOpen = network !== undefined && network !== "none" && network !== "simulated";
  if (isOpen && !caller.rights.has("administer")) throw new ConflictError(`analysis ${id} had the network ${network}, which only administrators may choose`); // prettier-ignore
  const again = add(parts, request, factsOf(found));
  accounts.audit.add(caller.user, address, "repeat", `analysis ${id} as ${again}`);
  parts.dispatcher.wake();
  return again;
}

/** Ends an analysis early. @throws NotThereError, ConflictError */
export function cancel({ dispatcher, accounts }: ServerParts, { caller, address }: Doer, id: number): void {
  dispatcher.cancel(id, `cancelled by ${caller.user}`);
  accounts.audit.add(caller.user, address, "cancel", `analysis ${id}`);
}

/** Removes an analysis that has ended, and its target when no other analysis has it. @throws NotThereError, ConflictError */
export function remove(parts: ServerParts, { caller, address }: Doer, id: number): void {
  const found = parts.search.find(id);
  parts.dispatcher.remove(id);
  parts.index.remove(id);
  for (const sha256 of found === undefined ? [] : listContents(found))
    if (!isWanted(parts, sha256)) parts.samples.remove(sha256);
  parts.accounts.audit.add(caller.user, address, "remove", `analysis ${id}`);
}

/** Returns the folder of an analysis that has ended. @throws NotThereError, ConflictError */
export function getEndedFolder({ labFolder, search }: ServerParts, id: number): string {
  const found = getAnalysis(search, id);
  if (found.outcome === undefined) throw new ConflictError(`analysis ${id} has not ended: ${found.phase}; wait for it`);
  const folder = getAnalysisFolder(labFolder, id);
  if (!existsSync(folder)) throw new NotThereError(`analysis ${id} has left nothing: ${found.reason ?? found.outcome}`);
  return folder;
}

/** Returns an analysis. @throws NotThereError */
export function getAnalysis(search: ServerParts["search"], id: number): FoundAnalysis {
  const found = search.find(id);
  if (found === undefined) throw new NotThereError(`there is no analysis ${id}`);
  return found;
}

function add(
  { queue, index, counts }: ServerParts,
  request: AnalysisRequest,
  sample: Omit<StoredSample, "path"> | undefined,
): number {
  // prettier-ignore
  const id = queue.add(request);
  if (sample !== undefined) index.addTarget(id, sample);
  counts.submissions++;
  return id;
}

function factsOf({ targetName, targetSize, md5, sha1, sha256 }: FoundAnalysis): Omit<StoredSample, "path"> | undefined {
  if (targetName === undefined || md5 === undefined || sha1 === undefined || sha256 === undefined) return undefined;
  return { name: targetName, size: targetSize ?? 0, md5, sha1, sha256 };
}

/** @throws BadRequestError when a machine is named that there is not: it would be known only when its turn comes */
async function checkMachines({ machines, labFolder }: ServerParts, names: readonly string[]): Promise<void> {
  // Those of a cluster are the hosts': one may come later.
  if (names.length === 0 || findClusterSettings(labFolder) !== undefined) return;
  const known = (await machines.list()).machines.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new BadRequestError(`there is no machine ${unknown.join(", ")}; there are ${known.join(", ") || "none"}`);
}

/** Fields of a form that were left empty were not given. */
function dropEmpty(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
}
