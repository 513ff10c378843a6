import { type AnalysisEvent, readEvents } from "../analysis/event-log";
import { isOfTarget, ProcessHistory, type ProcessNode } from "../analysis/report/process-tree";
import { type Judgement, judgeScore, LEVEL_SCORES, sumScores } from "./score";
import type { FoundRule, RuleFolder } from "./sigma/rule-folder";
import type { SeenAct, SeenProcess, Signature, SignatureWatcher } from "./signature";
import { listSigmaEvents } from "./sigma/sigma-events";

/** The acts of a finding that are kept; of more only the number. */
const MOST_EVIDENCE = 10;
const LONGEST_TEXT = 500;

/** An act by which something has fired. */
export interface Evidence {
  /** ISO 8601. */
  readonly time: string;
  readonly pid: number | undefined;
  readonly process: string | undefined;
  readonly text: string;
}

/** A signature or rule that has fired. */
export interface Finding {
  readonly kind: "signature" | "sigma";
  /** The signature's name; the rule's id, or its file. */
  readonly name: string;
  readonly title: string;
  readonly score: number;
  readonly techniques: readonly string[];
  /** How often. */
  count: number;
  /** The first acts. */
  readonly evidence: Evidence[];
}

/** The judgement of an analysis on its target, with its reasons. */
export interface Verdict {
  /** 0 to 10. */
  readonly score: number;
  readonly judgement: Judgement;
  /** The worst first. */
  readonly findings: readonly Finding[];
  readonly asked: { readonly signatures: number; readonly rules: number };
  /** Rules that no analysis can ask: how many for each reason. */
  readonly unusable: Readonly<Record<string, number>>;
  /** Signatures that failed, and why: they were not asked from then on. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Asks signatures and rules about what the target of an analysis did.
 *
 * @param folder the folder of the analysis, with its events
 */
export function judge(folder: string, signatures: readonly Signature[], rules: RuleFolder): Verdict {
  const origins = new ProcessHistory();
  for (const event of readEvents(folder)) origins.add(event);
  origins.decideOrigins();
  const trial = new Trial(signatures, rules.rules);
  // The same events give the same processes in the same order: now with who they are.
  const history = new ProcessHistory();
  const seen = new SeenProcesses();
  for (const event of readEvents(folder)) {
    history.add(event);
    // What was told before the beginning of its process finds that in the whole history.
    const node = history.findDoer(event.pid) ?? origins.findDoer(event.pid);
    const doer = node === undefined ? undefined : seen.note(node, event);
    const origin = node === undefined ? "system" : origins.nodes[node.id - 1]!.origin;
    if (!origins.knowsTarget || isOfTarget(origin)) trial.see({ ...event, doer });
  }
  return trial.end(rules);
}

/** The processes as they are known while the events pass by. */
class SeenProcesses {
  readonly #processes = new Map<number, SeenProcess>();

  note(node: ProcessNode, event: AnalysisEvent): SeenProcess {
    const known = this.#processes.get(node.id);
    if (known !== undefined && event.type !== "process.executed") return known;
    const parent = node.parent === undefined ? undefined : this.#processes.get(node.parent.id);
    const executable = typeof event["executable"] === "string" ? event["executable"] : parent?.executable;
    // A process that was only forked runs its parent's program.
    const commandLine = node.commandLine ?? parent?.commandLine;
    const process = { pid: node.pid, name: node.name, executable, commandLine, parent };
    this.#processes.set(node.id, process);
    return process;
  }
}

/** The watchers and rules of one analysis with what they have found. */
class Trial {
  readonly #findings: Finding[] = [];
  readonly #watchers = new Map<Finding, SignatureWatcher>();
  /** By the category of their events. */
  readonly #rules = new Map<string, { readonly found: FoundRule; readonly finding: Finding }[]>();
  readonly #failures: { name: string; reason: string }[] = [];
  readonly #asked: Verdict["asked"];

  constructor(signatures: readonly Signature[], rules: readonly FoundRule[]) {
    this.#asked = { signatures: signatures.length, rules: rules.length };
    for (const signature of signatures) {
      const { name, title, score, techniques } = signature;
      const finding = this.#begin({ kind: "signature", name, title, score, techniques });
      this.#attempt(finding, () => this.#watchers.set(finding, signature.watch()));
    }
    for (const found of rules) {
      const { title, id = found.file, level, techniques } = found.rule;
      const finding = this.#begin({ kind: "sigma", name: id, title, score: LEVEL_SCORES[level], techniques });
      const others = this.#rules.get(found.category) ?? [];
      this.#rules.set(found.category, others);
      others.push({ found, finding });
    }
  }

  see(act: SeenAct): void {
    for (const [finding, watch] of this.#watchers) {
      this.#attempt(finding, () => {
        const answer = watch(act);
        if (answer === true || typeof answer === "string") note(finding, act, answer === true ? undefined : answer);
      });
    }
    for (const event of listSigmaEvents(act)) {
      for (const { found, finding } of this.#rules.get(event.category) ?? []) {
        if (found.rule.fits(event)) note(finding, act, undefined);
      }
    }
  }

  end({ unusable }: RuleFolder): Verdict {
    const findings = this.#findings.filter(({ count }) => count > 0).toSorted((one, other) => other.score - one.score);
    const reasons: Record<string, number> = {};
    for (const { reason } of unusable) reasons[reason] = (reasons[reason] ?? 0) + 1;
    const score = sumScores(findings.map((finding) => finding.score));
    const [asked, failures] = [this.#asked, this.#failures];
    return { score, judgement: judgeScore(score), findings, asked, unusable: reasons, failures };
  }

  #begin(facts: Omit<Finding, "count" | "evidence">): Finding {
    const finding = { ...facts, count: 0, evidence: [] };
    this.#findings.push(finding);
    return finding;
  }

  /** A signature that fails is asked no more; the others are. */
  #attempt(finding: Finding, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#watchers.delete(finding);
      this.#failures.push({ name: finding.name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
}

function note(finding: Finding, act: SeenAct, text: string | undefined): void {
  finding.count++;
  if (finding.evidence.length >= MOST_EVIDENCE) return;
  const { time, type, doer, pid, process } = act;
  finding.evidence.push({
    ...{ time, pid: typeof pid === "number" ? pid : undefined },
    process: doer?.name ?? (typeof process === "string" ? process : undefined),
    text: (text ?? `${type} ${describe(act)}`).slice(0, LONGEST_TEXT),
  });
}

/** The facts of an act beside those that each has. */
function describe({
  time: _time,
  type: _type,
  doer: _doer,
  pid: _pid,
  process: _process,
  origin: _origin,
  ...facts
}: SeenAct): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
