import { z } from "zod";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";

/** An analysis, as the API tells it. */
export const ANALYSIS = z
  .object({
    id: z.number(),
    state: z.string().describe('"waiting", "running", or how it has ended: "finished", "failed", "cancelled", "lost".'),
    phase: z.string().describe("How far it has come."),
    reason: z.string().nullable().describe("The reason for its end."),
    created: z.string().describe("ISO 8601, UTC."),
    ended: z.string().nullable(),
    by: z.string().nullable().describe("The user who asked for it; null for a command of the terminal."),
    priority: z.number().nullable(),
    note: z.string().nullable(),
    notBefore: z.string().nullable().describe("It does not begin before this moment."),
    machine: z.string().nullable().describe("The machine it ran on, or is to run on; null for any."),
    command: z.string().nullable(),
    timeoutS: z.number(),
    network: z.string().nullable(),
    options: z.record(z.string(), z.string()),
    target: z
      .object({
        ...{ name: z.string(), size: z.number().nullable() },
        ...{ md5: z.string().nullable(), sha1: z.string().nullable(), sha256: z.string().nullable() },
      })
      .nullable(),
    score: z.number().nullable().describe("0 to 10; null without a verdict."),
    judgement: z.string().nullable().describe('"malicious", "suspicious" or "inconspicuous".'),
  })
  .describe("An analysis.");

/** Makes the answer of an analysis. */
export function toAnalysis(found: FoundAnalysis): z.infer<typeof ANALYSIS> {
  const { targetName, targetSize, md5, sha1, sha256, submission } = found;
  return {
    ...{ id: found.id, state: stateOf(found), phase: found.phase, reason: found.reason ?? null },
    ...{ created: found.created, ended: found.ended ?? null },
    ...{
      by: submission?.by ?? null,
      priority: submission?.priority ?? null,
      note: submission?.note ?? null,
      notBefore: submission?.notBefore ?? null,
    },
    ...{ machine: found.usedMachine ?? found.machine ?? null, command: found.command ?? null },
    ...{ timeoutS: found.timeoutS, network: found.network ?? null, options: found.options },
    target:
      found.target === undefined
        ? null
        : {
            ...{ name: targetName ?? baseName(found.target), size: targetSize ?? null },
            ...{ md5: md5 ?? null, sha1: sha1 ?? null, sha256: sha256 ?? null },
          },
    ...{ score: found.score ?? null, judgement: found.judgement ?? null },
  };
}

/** Returns "waiting", "running", or the outcome. */
export function stateOf({ outcome, phase }: FoundAnalysis): string {
  return outcome ?? (phase === "queued" ? "waiting" : "running");
}

/** Returns the name of an analysis: its target's, or the command. */
export function titleOf({ targetName, target, command }: FoundAnalysis): string {
  return targetName ?? (target === undefined ? (command ?? "nothing") : baseName(target));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
