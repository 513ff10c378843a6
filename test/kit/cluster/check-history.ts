/** A line of the history that a cluster writes of its analyses. */
export interface HistoryLine {
  readonly sequence?: string;
  readonly analysis?: string;
  readonly act?: string;
  readonly attempt?: number;
  readonly host?: string | null;
  readonly machine?: string | null;
  readonly reason?: string | null;
}

/** Acts by which an attempt loses its analysis, and its machine is free for others. */
const LOSSES = ["failed", "lapsed"];
/** Ends that only an attempt brings; analyses that nobody has are cancelled and lost, too. */
const RESULTS = ["finished", "failed"];

/**
 * Checks what a cluster has done: each analysis is handed in once and ends once, by the newest attempt; attempts have rising numbers; none that
 * was lost has a result; no machine is given a second analysis before the first has ended, failed, lapsed, or was taken by a later attempt.
 *
 * @param history in its order
 * @returns what is wrong, a sentence each
 */
export function checkHistory(history: readonly HistoryLine[]): string[] {
  const wrong: string[] = [];
  const analyses = new Map<string, { attempt: number; ends: number; isLost: boolean }>();
  const machines = new Map<string, string>();
  for (const { analysis = "", act = "", attempt = 0, host, machine, reason } of history) {
    const known = analyses.get(analysis);
    if (act === "submitted") {
      if (known !== undefined) wrong.push(`${analysis} is handed in twice`);
      analyses.set(analysis, { attempt: 0, ends: 0, isLost: false });
      continue;
    }
    if (known === undefined) {
      wrong.push(`${analysis} was never handed in: ${act}`);
      continue;
    }
    if (act === "taken") {
      if (attempt <= known.attempt) wrong.push(`${analysis}: attempt ${attempt} comes behind attempt ${known.attempt}`);
      if (known.ends > 0) wrong.push(`${analysis} is taken after its end`);
      for (const [name, at] of machines) if (at.startsWith(`${analysis} `)) machines.delete(name);
      const place = `${host}/${machine}`;
      const other = machines.get(place);
      if (other !== undefined) wrong.push(`${place} is given ${analysis} while it has ${other}`);
      machines.set(place, `${analysis} ${attempt}`);
      known.attempt = attempt;
      known.isLost = false;
    } else if (act === "ended") {
      known.ends++;
      if (attempt !== known.attempt) wrong.push(`${analysis} is ended by attempt ${attempt} of ${known.attempt}`);
      if (known.isLost && RESULTS.includes(reason ?? ""))
        wrong.push(`${analysis} has a result of attempt ${attempt}, which was lost`);
    } else if (LOSSES.includes(act) && attempt === known.attempt) known.isLost = true;
    if (act === "ended" || LOSSES.includes(act)) for (const [name, at] of machines) if (at === `${analysis} ${attempt}`) machines.delete(name); // prettier-ignore
  }
  for (const [analysis, { ends }] of analyses) if (ends !== 1) wrong.push(`${analysis} has ended ${ends} times`);
  return wrong;
}
