import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { findFailureCode } from "../../config/failure-code";
import { hashFile } from "../../config/host-files";
import { AuxiliaryCatalog } from "../auxiliary/auxiliary-catalog";
import { AuxiliaryConfig } from "../auxiliary/auxiliary-config";
import { getAuxiliaryPlaces } from "../auxiliary/auxiliary-places";
import { AuxiliaryRunner } from "../auxiliary/auxiliary-runner";
import { Lab } from "../lab";
import type { Doors } from "../../scripts/loading/doors";
import { stopCompiler } from "../../scripts/loading/script-compiler";
import type { AnalysisDatabase, AnalysisEntry } from "./analysis-database";
import { AnalysisJournal } from "./analysis-journal";
import { extractMember, isArchive } from "./target/archive-member";
import { AnalysisError } from "../errors";
import type { AnalysisMachine } from "./analysis-machine";
import { findAnalysisRecording } from "./target/recorded-analysis";
import type { NetworkUse } from "./analysis-network";
import { getAnalysisFolder, getProcessMark } from "./analysis-places";
import type { AnalysisPhase, AnalysisRecord, AnalysisTarget, LogLine } from "./analysis-record";
import { AnalysisRun, parseClock } from "./analysis-run";
import { LabMachinePool } from "./leased-machine";
import { killMarked } from "./marked-processes";
import { listNameQuestions } from "./report/module-results";
import { gatherEvents, type GatheredEvents } from "./report/gather-events";
import { writeReport } from "./report/write-report";
import { getNetwork } from "../network/network-choice";
import { readRuleFolder, type RuleFolder } from "../verdict/sigma/rule-folder";
import { scanArtefacts } from "../yara/scan-artefacts";
import { findYaraRules } from "../yara/yara-rules";
import { writeSampleFacts } from "../sample/sample-file";
import { AnalysisIndex } from "./search/analysis-index";
import { loadSignatures, type Signatures } from "../verdict/signature-catalog";
import { Trial } from "../verdict/trial";

/** The time between two looks at a machine that starts or stops, in milliseconds. */
const POLL_MS = 100;

/** Below the folder of the analysis, while it runs: a target that was in an archive. */
const UNPACKED = ".target";

/** The folder of a lab with the user's Sigma rules, read as it is. */
const SIGMA_FOLDER = "rules/sigma";

/** Everything that an analysis of a lab needs. */
export interface LabAnalysis {
  /** Absolute. */
  readonly labFolder: string;
  readonly database: AnalysisDatabase;
  /** The analysis in the database; it belongs to this process. */
  readonly entry: AnalysisEntry;
  /** The parts of rebox that modules can import. */
  readonly api: Doors;
  /** Ends it early; its reason is the recorded one. */
  readonly signal: AbortSignal;
  onPhase(phase: AnalysisPhase): void;
  onLine(line: LogLine): void;
  onEvent(): void;
  /** Is given the journal, for what happens beside the analysis. */
  onJournal(journal: AnalysisJournal): void;
}

/**
 * Makes one analysis on a machine of a lab, to its report. Its record and the database have its end.
 *
 * @throws Error when not even a record can be written
 */
export async function performAnalysis(asked: LabAnalysis): Promise<void> {
  const folder = getAnalysisFolder(asked.labFolder, asked.entry.id);
  mkdirSync(folder, { recursive: true });
  let analysis = asked;
  let refusal: string | undefined;
  try {
    analysis = await unpackTarget(asked, folder);
  } catch (error) {
    refusal = error instanceof Error ? error.message : String(error);
  }
  const { database, entry } = analysis;
  // Now: at the end somebody may have removed the lab's folder.
  const processMark = getProcessMark(analysis.labFolder, entry.id);
  const journal = new AnalysisJournal(folder, await beginRecord(entry), analysis.onLine, analysis.onEvent);
  analysis.onJournal(journal);
  // At the beginning: later the file may be another one.
  const facts = entry.target && writeSampleFacts(entry.target, folder, (text) => journal.warn(text));
  let jury: Promise<Jury> | undefined;
  // The machine is known by then, or there is nothing to judge.
  const summon = () => (jury ??= summonJury(analysis, journal.record.machine?.platform ?? "linux"));
  try {
    // They are compiled while the guest works.
    if (refusal !== undefined) throw new AnalysisError(refusal);
    await runInLab(analysis, journal, (phase) => (phase === "running" ? void summon() : undefined));
  } catch (error) {
    journal.end("failed", error instanceof Error ? error.message : String(error), [], findFailureCode(error, folder));
  }
  // It is one of ours, which nobody has left.
  await summon();
  await stopCompiler();
  const left = await killMarked(processMark);
  if (left > 0) journal.warn(`${left} processes were left, and are ended`);
  await facts;
  await askYara(analysis, journal);
  rmSync(join(folder, UNPACKED), { recursive: true, force: true });
  recordNames(journal);
  journal.begin("reporting");
  analysis.onPhase("reporting");
  journal.complete();
  try {
    const events = judgeAnalysis(await summon(), journal);
    writeReport(folder, journal.record, events);
    new AnalysisIndex(database).add(folder, { ...journal.record, id: entry.id }, events);
  } catch (error) {
    const reason = `the report cannot be written: ${error instanceof Error ? error.message : String(error)}`;
    journal.incomplete(reason, findFailureCode(error, folder));
  }
  journal.begin("ended");
  const { outcome = "failed", reason } = journal.record;
  database.end(entry.id, outcome, reason);
}

/** Asks the lab's rules of YARA about the sample and what it left; each match is an event. It never rejects. */
async function askYara({ labFolder, entry }: LabAnalysis, journal: AnalysisJournal): Promise<void> {
  const warn = (text: string) => journal.warn(text);
  try {
    const rules = await findYaraRules(labFolder);
    for (const problem of rules.broken) warn(`a file of YARA rules cannot be used: ${problem}`);
    const places = { labFolder, folder: journal.folder, target: entry.target };
    for (const match of await scanArtefacts(rules, places, warn)) journal.addEvent("yara.matched", { ...match });
  } catch (error) {
    warn(`YARA's rules were not asked: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function recordNames(journal: AnalysisJournal): void {
  const { network } = journal.record;
  if (network === undefined) return;
  try {
    journal.update({ network: { ...network, names: listNameQuestions(journal.folder) } });
  } catch (error) {
    journal.warn(`the recorded frames cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Takes the target out of its archive, where it is in one. @throws AnalysisError when that cannot be done */
async function unpackTarget(analysis: LabAnalysis, folder: string): Promise<LabAnalysis> {
  const { entry, signal } = analysis;
  const { target, archive = {} } = entry;
  if (target === undefined || !isArchive(target, archive)) return analysis;
  return { ...analysis, entry: { ...entry, target: await extractMember(target, archive, join(folder, UNPACKED), signal) } }; // prettier-ignore
}

/** The signatures and rules that an analysis is judged by; what cannot be used is an error or has a reason. */
interface Jury extends Signatures {
  readonly rules: RuleFolder;
  readonly failure: Error | undefined;
}

/** Loads the signatures and rules of the lab. It never throws. */
async function summonJury({ labFolder, api }: LabAnalysis, platform: string): Promise<Jury> {
  const none = { rules: [], unusable: [] };
  try {
    const folder = join(labFolder, SIGMA_FOLDER);
    const signatures = await loadSignatures(labFolder, api);
    return { ...signatures, rules: existsSync(folder) ? readRuleFolder(folder, platform) : none, failure: undefined };
  } catch (error) {
    return {
      signatures: [],
      refused: [],
      rules: none,
      failure: error instanceof Error ? error : new Error(String(error)),
    };
  }
}

/** Gathers the events, and asks about the target: what cannot be asked is told, and the rest is asked. */
function judgeAnalysis({ signatures, refused, rules, failure }: Jury, journal: AnalysisJournal): GatheredEvents {
  if (failure !== undefined) journal.warn(`signatures and rules cannot be read: ${failure.message}`);
  for (const { file, error } of refused) journal.warn(`the signatures of ${file} cannot be used: ${error.message}`);
  const events = gatherEvents(journal.folder, new Trial(signatures, rules));
  for (const { name, reason } of events.verdict?.failures ?? [])
    journal.warn(`the signature ${name} has failed: ${reason}`);
  // Nothing was seen of it, which is no sign that it is harmless. What YARA says of its bytes counts all the same.
  const isJudged = journal.record.hasRun !== false || (events.verdict?.findings.length ?? 0) > 0;
  return isJudged ? events : { ...events, verdict: undefined };
}

async function beginRecord(entry: AnalysisEntry): Promise<AnalysisRecord> {
  const { id, reportedAs = id, target, command, options, timeoutS, created } = entry;
  return {
    ...{ id: reportedAs, command, options, timeoutS, created },
    target: target === undefined ? undefined : await describeTarget(target),
    ...{ machine: undefined, ended: undefined, phases: [], hasRun: false, outcome: undefined, reason: undefined },
    ...{ auxiliary: [], log: [] },
  };
}

/** Describes a file; one that is gone by now fails when it is given to the guest. */
async function describeTarget(path: string): Promise<AnalysisTarget | undefined> {
  try {
    return { name: basename(path), size: statSync(path).size, sha256: await hashFile(path) };
  } catch {
    return undefined;
  }
}

async function runInLab(
  analysis: LabAnalysis,
  journal: AnalysisJournal,
  onPhase: (phase: AnalysisPhase) => void,
): Promise<void> {
  const { labFolder, entry, api, signal, database } = analysis;
  const { id, scripts, target } = entry;
  const lab = await Lab.open(labFolder, { api, signal, pollMs: POLL_MS, log: (text) => journal.info(text) });
  for (const failure of lab.failures) journal.warn(failure);
  try {
    const { folder } = journal;
    const addEvent = (type: string, facts: Readonly<Record<string, unknown>>) => journal.addEvent(type, facts);
    const network: NetworkUse = {
      ...{ folder, log: journal, addEvent },
      wanted: entry.network === undefined ? undefined : getNetwork(entry.network),
      getClockMs: () => parseClock(entry.options.clock),
      onRecord: (record) => journal.update({ network: record }),
    };
    const warn = (text: string) => journal.warn(text);
    const recording = findAnalysisRecording(folder, target, entry.options);
    if (recording !== undefined && entry.rebootS !== undefined) {
      throw new AnalysisError(
        "no recording can be kept of a run in which the guest is started again: leave --reboot or --record out",
      );
    }
    const run = new AnalysisRun({
      request: entry,
      machines: new LabMachinePool(lab, {
        ...{ id, folder, scripts, hasTarget: target !== undefined, recording },
        ...{ network, addEvent, warn },
        listAhead: () => database.listAhead(id),
      }),
      journal,
      makeAuxiliary: (machine, own) => makeAuxiliary(analysis, journal, machine, own),
      onPhase: (phase) => {
        analysis.onPhase(phase);
        onPhase(phase);
        try {
          database.setPhase(id, phase);
        } catch (error) {
          // A full disk, for example; the analysis has to be ended all the same.
          journal.warn(`the database cannot be written: ${error instanceof Error ? error.message : String(error)}`);
        }
      },
    });
    await run.execute(signal);
  } finally {
    await lab.close();
  }
}

function makeAuxiliary(
  { labFolder, entry, api }: LabAnalysis,
  journal: AnalysisJournal,
  machine: AnalysisMachine,
  signal: AbortSignal,
): AuxiliaryRunner {
  const { id, target, options } = entry;
  const { folders, config, configurations } = getAuxiliaryPlaces(labFolder);
  return new AuxiliaryRunner({
    catalog: new AuxiliaryCatalog(folders),
    config: AuxiliaryConfig.load(config),
    configurations,
    run: {
      ...{ id, folder: journal.folder, target, options, signal },
      addEvent: (type, facts) => journal.addEvent(type, facts),
    },
    ...{ machine, log: journal, api },
  });
}
