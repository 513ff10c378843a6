/** A line of the history that a cluster writes of its analyses. */
export interface HistoryLine {
  readonly sequence?: string;
  readonly analysis?: string;
  readonly act?: string;
  readonly attempt?: number;
  readonly host?: string | null;
  readonly machine?: string | null;
}

/**
 * Checks what a cluster has done: each analysis is handed in once and ends once, by the newest attempt; attempts have rising numbers; no machine
 * is given a second analysis before the first has ended, failed, or was taken by a later attempt.
 *
 * @param history in its order
 * @returns what is wrong, a sentence each
 */
export function checkHistory(history: readonly HistoryLine[]): string[] {
  const wrong: string[] = [];
  const analyses = new Map<string, { attempt: number; ends: number }>();
  const machines = new Map<string, string>();
  for (const { analysis = "", act, attempt = 0, host, machine } of history) {
    const known = analyses.get(analysis);
    if (act === "submitted") {
      if (known !== undefined) wrong.push(`${analysis} is handed in twice`);
      analyses.set(analysis, { attempt: 0, ends: 0 });
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
    } else if (act === "ended") {
      known.ends++;
      if (attempt !== known.attempt) wrong.push(`${analysis} is ended by attempt ${attempt} of ${known.attempt}`);
    }
    if (act === "ended" || act === "failed") for (const [name, at] of machines) if (at === `${analysis} ${attempt}`) machines.delete(name); // prettier-ignore
  }
  for (const [analysis, { ends }] of analyses) if (ends !== 1) wrong.push(`${analysis} has ended ${ends} times`);
  return wrong;
}
