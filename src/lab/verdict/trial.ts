import type { AnalysisEvent } from "../analysis/event-log";
import { type EventReader, type FollowedEvent, followEvents } from "../analysis/report/follow-events";
import type { ProcessNode } from "../analysis/report/process-tree";
import { describeAct, type Finding, MOST_EVIDENCE, type Verdict } from "./verdict";
import { judgeScore, LEVEL_SCORES, sumScores } from "./score";
import type { FoundRule, RuleFolder } from "./sigma/rule-folder";
import { listSigmaEvents } from "./sigma/sigma-events";
import type { YaraEvent } from "../yara/scan-artefacts";
import type { SeenAct, SeenProcess, Signature, SignatureWatcher } from "./signature";

/** A rule of YARA fits the sample, or a file that it left: it needs no process. */
const YARA_EVENT = "yara.matched";

/** Asks signatures and rules about what the target of an analysis did, while the events pass by. */
export class Trial implements EventReader {
  #jury: Jury;
  #processes = new SeenProcesses();

  constructor(
    private readonly signatures: readonly Signature[],
    private readonly rules: RuleFolder,
  ) {
    this.#jury = new Jury(signatures, rules.rules);
  }

  see({ event, doer, origin }: FollowedEvent): void {
    const seen = doer === undefined ? undefined : this.#processes.note(doer, event);
    if (origin !== undefined || event.type === YARA_EVENT) this.#jury.see({ ...event, doer: seen });
  }

  /**
   * Says what was found.
   *
   * @param folder the folder of the analysis: where it was not seen which processes are the target's, all are asked about, in a
   *   reading of its own
   */
  end(folder: string, knowsTarget: boolean): Verdict {
    if (!knowsTarget) {
      this.#jury = new Jury(this.signatures, this.rules.rules);
      const processes = new SeenProcesses();
      const see = ({ event, doer }: FollowedEvent): void =>
        this.#jury.see({ ...event, doer: doer === undefined ? undefined : processes.note(doer, event) });
      followEvents(folder, [{ see }]);
    }
    return this.#jury.end(this.rules);
  }
}

/**
 * Asks signatures and rules about what the target of an analysis did.
 *
 * @param folder the folder of the analysis, with its events
 */
export function judge(folder: string, signatures: readonly Signature[], rules: RuleFolder): Verdict {
  const trial = new Trial(signatures, rules);
  return trial.end(folder, followEvents(folder, [trial]).knowsTarget);
}

/** The processes as they are known while the events pass by. */
class SeenProcesses {
  readonly #processes = new Map<number, SeenProcess>();

  note(node: ProcessNode, event: AnalysisEvent): SeenProcess {
    const known = this.#processes.get(node.id);
    if (known !== undefined && event.type !== "process.executed") return known;
    const parent = node.parent === undefined ? undefined : this.#processes.get(node.parent.id);
    const own = typeof event["executable"] === "string" ? event["executable"] : undefined;
    const executable = own ?? parent?.executable;
    const isChanged = own === undefined ? parent?.isChanged === true : event["isChanged"] === true;
    // A process that was only forked runs its parent's program.
    const commandLine = node.commandLine ?? parent?.commandLine;
    const process = { pid: node.pid, name: node.name, executable, isChanged, commandLine, parent };
    this.#processes.set(node.id, process);
    return process;
  }
}

/** The watchers and rules of one analysis with what they have found. */
class Jury {
  readonly #findings: Finding[] = [];
  #watchers: readonly { readonly finding: Finding; readonly watch: SignatureWatcher }[] = [];
  /** By the category of their events. */
  readonly #rules = new Map<string, { readonly found: FoundRule; readonly finding: Finding }[]>();
  readonly #yara = new Map<string, Finding>();
  readonly #failures: { name: string; reason: string }[] = [];
  readonly #asked: Verdict["asked"];

  constructor(signatures: readonly Signature[], rules: readonly FoundRule[]) {
    this.#asked = { signatures: signatures.length, rules: rules.length };
    for (const signature of signatures) {
      const { name, title, score, techniques } = signature;
      const finding = this.#begin({ kind: "signature", name, title, score, techniques });
      try {
        this.#watchers = [...this.#watchers, { finding, watch: signature.watch() }];
      } catch (error) {
        this.#fail(finding, error);
      }
    }
    for (const found of rules) {
      const { title, id = found.file, level, techniques } = found.rule;
      const finding = this.#begin({ kind: "sigma", name: id, title, score: LEVEL_SCORES[level], techniques });
      for (const category of found.categories) {
        const others = this.#rules.get(category) ?? [];
        this.#rules.set(category, others);
        others.push({ found, finding });
      }
    }
  }

  see(act: SeenAct): void {
    if (act.type === YARA_EVENT) return this.#noteYara(act as SeenAct & YaraEvent);
    // A hundred signatures see a million acts: nothing is made for each of them.
    for (const watcher of this.#watchers) {
      try {
        const answer = watcher.watch(act);
        if (answer === true || typeof answer === "string")
          note(watcher.finding, act, answer === true ? undefined : answer);
      } catch (error) {
        this.#watchers = this.#watchers.filter((other) => other !== watcher);
        this.#fail(watcher.finding, error);
      }
    }
    if (this.#rules.size === 0) return;
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

  #noteYara(act: SeenAct & YaraEvent): void {
    const { rule, file, score, techniques, description, what, path } = act;
    const key = `${file} ${rule}`;
    const title = description ?? `It fits the YARA rule ${rule}`;
    const finding = this.#yara.get(key) ?? this.#begin({ kind: "yara", name: rule, title, score, techniques });
    this.#yara.set(key, finding);
    note(finding, act, what === "sample" ? "the sample" : `${what} ${path}`);
  }

  /** A signature that fails is asked no more; the others are. */
  #fail({ name }: Finding, error: unknown): void {
    this.#failures.push({ name, reason: error instanceof Error ? error.message : String(error) });
  }
}

function note(finding: Finding, act: SeenAct, text: string | undefined): void {
  finding.count++;
  if (finding.evidence.length < MOST_EVIDENCE) finding.evidence.push(describeAct(act, text));
}
