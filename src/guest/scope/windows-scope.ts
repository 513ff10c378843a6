import type { WindowsProcess } from "../../systems/windows/windows-process";
import type { ScopeOrigin } from "./scope-event";

/** How the first process of a target is known. */
export interface WindowsTargetTraits {
  /** The end of the path of the target's file, as "\rebox-1a2b\sample.exe"; undefined when only a command is executed. */
  readonly file: string | undefined;
  /** A word of the launcher's command line, which no other has. */
  readonly launcher: string;
}

/** A process that was taken into the scope after it had begun. */
export interface WindowsAdoption {
  readonly process: WindowsProcess;
  /** The number of the process that acted on it. */
  readonly by: number;
  /** The system call. */
  readonly act: string;
}

type BeginListener = (scope: WindowsScope) => void;
let current: WindowsScope | undefined;
const beginListeners = new Set<BeginListener>();

/** Finds the scope of the analysis of a Windows guest that this engine is used for. */
export function findWindowsScope(): WindowsScope | undefined {
  return current;
}

/**
 * Calls a function when the target of this engine's analysis begins, in a Windows guest; at once when it has begun.
 *
 * @returns the function that ends it
 */
export function onWindowsTargetBegin(listener: BeginListener): () => void {
  beginListeners.add(listener);
  if (current?.hasBegun === true) listener(current);
  return () => beginListeners.delete(listener);
}

/**
 * The processes of the target of an analysis in a Windows guest: the target, those that they make, and those that they change
 * ("adopted"). The first who notices a process asks for it: whether it belongs here is decided once.
 */
export class WindowsScope {
  /** By number; those that have ended are forgotten. */
  readonly #members = new Map<number, ScopeOrigin>();
  readonly #strangers = new Set<number>();
  #count = 0;
  #root: WindowsProcess | undefined;

  /**
   * It is the engine's scope until end().
   *
   * @param findParent finds the process that another names as the one that made it
   * @param findCreator finds the number of the process that has made another, where that was seen
   * @param onBegin is called with the first process
   * @param onAdoption is called with each that is adopted
   */
  constructor(
    private readonly traits: WindowsTargetTraits,
    private readonly findParent: (process: WindowsProcess) => WindowsProcess | undefined,
    private readonly findCreator: (process: WindowsProcess) => number | undefined,
    private readonly onBegin: (first: WindowsProcess) => void,
    private readonly onAdoption: (adoption: WindowsAdoption) => void,
  ) {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- one scope is the engine's at a time
    current = this;
  }

  get hasBegun(): boolean {
    return this.#root !== undefined;
  }

  /** The target's first process; undefined before it has begun. */
  get root(): WindowsProcess | undefined {
    return this.#root;
  }

  /** How many processes have been in it. */
  get count(): number {
    return this.#count;
  }

  /** How many of them live. */
  get living(): number {
    return this.#members.size;
  }

  /** Finds whose a process is; undefined when it is none of the scope. */
  findOrigin(pid: number): ScopeOrigin | undefined {
    return this.#members.get(pid);
  }

  /** Decides about a process that begins; undefined when it is none of the scope. */
  take(process: WindowsProcess): ScopeOrigin | undefined {
    const { pid } = process;
    const known = this.#members.get(pid);
    if (known !== undefined || this.#strangers.has(pid)) return known;
    const origin = this.#decide(process);
    if (origin === undefined) this.#strangers.add(pid);
    else this.#add(pid, origin);
    if (origin === undefined || this.#root !== undefined) return origin;
    this.#root = process;
    this.onBegin(process);
    for (const listener of beginListeners) listener(this);
    return origin;
  }

  /** Takes a process in that one of the scope has changed. */
  adopt(process: WindowsProcess, by: number, act: string): void {
    if (this.#members.has(process.pid)) return;
    this.#strangers.delete(process.pid);
    this.#add(process.pid, "adopted");
    this.onAdoption({ process, by, act });
  }

  /** Forgets a process that has ended. @returns whether it was the last of the scope */
  remove(pid: number): boolean {
    this.#strangers.delete(pid);
    return this.#members.delete(pid) && this.#members.size === 0;
  }

  /** It is the engine's scope no longer. */
  end(): void {
    if (current === this) current = undefined;
  }

  #add(pid: number, origin: ScopeOrigin): void {
    this.#members.set(pid, origin);
    this.#count++;
  }

  /** A process can name another as its parent than the one that makes it: both count. */
  #decide(process: WindowsProcess): ScopeOrigin | undefined {
    if (this.#root === undefined) return this.#isFirst(process) ? "target" : undefined;
    const creator = this.findCreator(process);
    return this.#members.get(process.ppid) ?? (creator === undefined ? undefined : this.#members.get(creator));
  }

  #isFirst(process: WindowsProcess): boolean {
    const { file, launcher } = this.traits;
    if (file !== undefined && process.imageFile.toLowerCase().endsWith(file.toLowerCase())) return true;
    const parent = this.findParent(process);
    // Python may start another Python first, with the same words: that is still the launcher.
    return parent?.commandLineText.includes(launcher) === true && parent.name !== process.name;
  }
}
