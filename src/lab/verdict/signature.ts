import type { AnalysisEvent } from "../analysis/event-log";

/** A process of the analysis, as signatures see the one that did something. */
export interface SeenProcess {
  readonly pid: number;
  readonly name: string;
  /** The path of its program; undefined when it has executed none since it began. */
  readonly executable: string | undefined;
  /** Its program was written, renamed, linked or mounted since the target began: its place says nothing about what it is. */
  readonly isChanged?: boolean;
  /** The words that its program was started with, joined by blanks. */
  readonly commandLine: string | undefined;
  /** Who made it, when that process began in the analysis too. */
  readonly parent: SeenProcess | undefined;
}

/** Something that the target did, or a process for it: an event of the analysis with who did it. */
export interface SeenAct extends AnalysisEvent {
  /** Undefined when the event names no process, or one that is not known. */
  readonly doer: SeenProcess | undefined;
}

/**
 * Looks at one act. `true` or a text means that the signature has fired by this act; the text says why, in place of the
 * act's own facts.
 */
export type SignatureWatcher = (act: SeenAct) => boolean | string | undefined;

/** A signature: something that tells for or against a sample. */
export interface Signature {
  /** Unique; words joined by hyphens. */
  readonly name: string;
  /** A sentence about the target, such as "It makes itself start with the system, by a systemd unit". */
  readonly title: string;
  /** How bad it is: 0 (worth to know) to 10 (nothing good does it). */
  readonly score: number;
  /** ATT&CK techniques by number, such as "T1543.002". */
  readonly techniques: readonly string[];
  /** Begins to watch one analysis: what the function keeps belongs to it alone. */
  watch(): SignatureWatcher;
}

/** The parts of a signature. */
export interface SignatureFacts extends Omit<Signature, "watch"> {
  /** Looks at each act alone. */
  readonly see?: SignatureWatcher;
  /** In place of `see`: begins to watch one analysis, for signatures that count or remember. */
  readonly watch?: () => SignatureWatcher;
}

/**
 * Makes a signature.
 *
 * @throws TypeError when a fact is missing or out of its range
 */
export function defineSignature({ see, watch, ...facts }: SignatureFacts): Signature {
  const { name, title, score, techniques } = facts;
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))
    throw new TypeError(`"${name}" is no name of a signature; use words-with-hyphens`);
  if (title.trim() === "") throw new TypeError(`the signature ${name} needs a title: a sentence about the target`);
  if (!(score >= 0 && score <= 10)) throw new TypeError(`the score of ${name} is ${score}; it goes from 0 to 10`);
  const wrong = techniques.find((technique) => !/^T\d{4}(\.\d{3})?$/.test(technique));
  if (wrong !== undefined) throw new TypeError(`${name}: ${wrong} is no ATT&CK technique; one is T1543.002`);
  if ((see === undefined) === (watch === undefined))
    throw new TypeError(`the signature ${name} needs either see or watch`);
  return { ...facts, watch: watch ?? (() => see!) };
}
