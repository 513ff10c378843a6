/** Different programs of one analysis; processes that execute further ones have no number. */
const MOST_PROGRAMS = 10_000;

/** A file that processes have executed; of a script its interpreter. */
export interface ExecutedProgram {
  /** From 1, in the order of first executions. */
  readonly program: number;
  /** At the first execution. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256?: string;
  /** Why there is no hash; without both it is not known yet. */
  readonly left?: string;
}

/** A program that has a number. */
export interface NumberedProgram {
  readonly told: ExecutedProgram;
  /** Refused: it was too much at that moment, and is tried again when it is executed again. */
  state: "known" | "waits" | "refused";
}

/** The result of hashing a program while it is executed. */
export type HashOutcome =
  | { readonly sha256: string }
  /** It has none, now and later. */
  | { readonly left: string }
  /** It has none for now. */
  | { readonly refused: string }
  /** Its hash comes later. */
  | { readonly wait: (program: NumberedProgram) => void };

/** A program as it is while it is executed. */
export interface SeenProgram {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Whether a further change of its file would make another key. */
  readonly isSettled: boolean;
  readonly outcome: HashOutcome;
}

/** Gives programs their numbers, each once however often it is executed, and tells what is known of them. */
export class ProgramNumbers {
  /** Of files that have not changed just before by their keys, of others by path and content. */
  readonly #programs = new Map<string, NumberedProgram>();

  /**
   * @param count the programs that have a number: it may go on over a restart of the guest
   * @param listener called with each program when it is new, and again when its hash, or why it has none, is known
   * @param most so many different programs have a number
   */
  constructor(
    private readonly count: { programs: number },
    private readonly listener: (program: ExecutedProgram) => void,
    private readonly most = MOST_PROGRAMS,
  ) {}

  /**
   * Notes a program that is executed.
   *
   * @param key of the file's content: another one after each change
   * @param see looks at it; not called when it is known
   * @returns its number; undefined when too many are known
   */
  note(key: string, see: () => SeenProgram): number | undefined {
    const known = this.#programs.get(key);
    if (known !== undefined && known.state !== "refused") return known.told.program;
    if (known === undefined && this.#programs.size >= this.most) return undefined;
    const { path, size, isSettled, outcome } = see();
    const sha256 = "sha256" in outcome ? outcome.sha256 : undefined;
    // The key of a file that has changed just before may be that of another content, too.
    const content = isSettled ? key : `${path}\0${sha256 ?? key}`;
    const same = this.#programs.get(content);
    if (same !== undefined && same.state !== "refused") return same.told.program;
    const program = same ?? this.#add(content, path, size);
    this.#tell(program, outcome, same === undefined);
    return program.told.program;
  }

  /** Tells the hash of a program that waited for it, or why it has none. @param isFinal it is not tried again */
  finish(program: NumberedProgram, result: Pick<ExecutedProgram, "sha256" | "left">, isFinal = true): void {
    program.state = isFinal ? "known" : "refused";
    this.listener({ ...program.told, ...result });
  }

  #add(content: string, path: string, size: number): NumberedProgram {
    const program: NumberedProgram = { told: { program: ++this.count.programs, path, size }, state: "known" };
    this.#programs.set(content, program);
    return program;
  }

  #tell(program: NumberedProgram, outcome: HashOutcome, isNew: boolean): void {
    if ("wait" in outcome) {
      program.state = "waits";
      if (isNew) this.listener(program.told);
      outcome.wait(program);
    } else if ("refused" in outcome) {
      program.state = "refused";
      if (isNew) this.listener({ ...program.told, left: outcome.refused });
    } else this.finish(program, outcome);
  }
}
