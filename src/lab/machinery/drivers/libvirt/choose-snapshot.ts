import { MachineryError } from "../../../errors";
import type { Virsh } from "./virsh";

/**
 * Chooses the snapshot that a domain is reverted to: the one that is configured, else the current one, else the newest.
 *
 * @throws MachineryError when the configured one does not exist, there is none, or it was taken while the domain was off
 */
export async function chooseSnapshot(
  virsh: Virsh,
  label: string,
  configured: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const names = await listSnapshots(virsh, label, signal);
  if (configured !== undefined && !names.includes(configured)) {
    throw new MachineryError(
      `No snapshot found with the name ${configured} for ${label}; there are ${names.join(", ") || "none"}`,
    );
  }
  if (names.length === 0) {
    throw new MachineryError(
      `No snapshot found for ${label}; make one while it runs: virsh snapshot-create-as ${label} clean, or have it prepared: rebox machine prepare`,
    );
  }
  const chosen =
    configured ?? (await findCurrent(virsh, label, signal)) ?? (await findNewest(virsh, label, names, signal));
  const info = await virsh.run(["snapshot-info", `--domain=${label}`, `--snapshotname=${chosen}`], signal);
  const state = /^State:\s*(\S.*?)\s*$/m.exec(info)?.[1];
  if (state !== "running" && state !== "paused") {
    throw new MachineryError(
      `snapshot ${chosen} of ${label} is of a machine that was ${state ?? "in no known state"}; take it while it runs`,
    );
  }
  return chosen;
}

/** Lists the names of a domain's snapshots. */
export async function listSnapshots(virsh: Virsh, label: string, signal: AbortSignal): Promise<string[]> {
  return (await virsh.run(["snapshot-list", `--domain=${label}`, "--name"], signal))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

async function findCurrent(virsh: Virsh, label: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const name = await virsh.run(["snapshot-current", `--domain=${label}`, "--name"], signal);
    return name.trim() || undefined;
  } catch (error) {
    // virsh fails when there is no current one.
    if (error instanceof MachineryError && /no current snapshot/i.test(error.message)) return undefined;
    throw error;
  }
}

async function findNewest(virsh: Virsh, label: string, names: readonly string[], signal: AbortSignal): Promise<string> {
  let newest = { name: names[0]!, seconds: -1 };
  for (const name of names) {
    const xml = await virsh.run(["snapshot-dumpxml", `--domain=${label}`, `--snapshotname=${name}`], signal);
    const seconds = Number(/<creationTime>(\d+)<\/creationTime>/.exec(xml)?.[1] ?? 0);
    if (seconds > newest.seconds) newest = { name, seconds };
  }
  return newest.name;
}
