import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { AnalysisError } from "../errors";
import type { GuestWay } from "../ways/guest-way";

/** A file that the guest gets before it is frozen. */
export interface GuestCopy {
  /** Of this host, absolute. */
  readonly from: string;
  /** In the guest, absolute. */
  readonly to: string;
}

/** The changes of a system before it is frozen, in this order. */
export interface GuestChanges {
  readonly copies: readonly GuestCopy[];
  /** Files of this host with scripts for the guest's sh. */
  readonly scripts: readonly string[];
  /** Commands for the guest's sh. */
  readonly commands: readonly string[];
  /** Is called with each thing that begins, for people. */
  onProgress(text: string): void;
}

/** Describes changes, a line each. */
export function describeChanges({ copies, scripts, commands }: GuestChanges): string[] {
  return [
    ...copies.map(({ from, to }) => `copy ${from} ${to}`),
    ...scripts.map((path) => `script ${path}`),
    ...commands.map((text) => `command ${text}`),
  ];
}

/**
 * Changes a system.
 *
 * @param folder of this host, where what is sent is packed, and removed again
 * @returns whether there was anything to change
 * @throws AnalysisError for a script or command that fails, with what it wrote
 */
export async function changeGuest(
  way: GuestWay,
  changes: GuestChanges,
  folder: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { copies, scripts, commands, onProgress } = changes;
  for (const copy of copies) {
    onProgress(`copying ${copy.from} to ${copy.to}`);
    await way.put({ ...copy, folder }, signal);
  }
  const texts = [
    ...scripts.map((path) => ({ what: basename(path), text: readFileSync(path, "utf8") })),
    ...commands.map((text) => ({ what: text, text })),
  ];
  for (const { what, text } of texts) {
    onProgress(`running ${what}`);
    const result = await way.runScript(`(\n${text}\n)`, signal);
    if (result.status === 0) continue;
    const said = result.output.trim().split("\n").slice(-5).join("\n");
    throw new AnalysisError(`${what} ended with status ${result.status} in the guest: ${said}`);
  }
  if (copies.length + texts.length === 0) return false;
  await way.runScript("sync", signal);
  return true;
}
