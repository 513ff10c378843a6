/** One thing that belongs to a script. */
export interface Owned {
  /** Forgets it: it was disposed of in another way. */
  release(): void;
}

/**
 * Everything that one loaded version of a script has registered, in whatever layer: callbacks, streams, monitored
 * processes, timers, commands. What is still there when the script goes is disposed of then, whether its clean() has
 * thought of it or not.
 */
export class ModuleOwner {
  readonly #disposers = new Set<() => void>();
  readonly #usedFiles = new Set<string>();
  #isOpen = true;
  /** Is called when the script has come to use another file. */
  onFileUsed: (() => void) | undefined;

  /**
   * @param name the script's name in module notation, for messages
   * @param folder the absolute path of the folder in which the script lies; undefined when it is not a file
   */
  constructor(
    readonly name: string,
    readonly folder?: string,
  ) {}

  /** Absolute paths of the files beside its code that were made into a part of it: the sources of its triggers. */
  get usedFiles(): readonly string[] {
    return [...this.#usedFiles];
  }

  /** Notes files that the script is made of, beside its code. @param files absolute paths */
  useFiles(files: readonly string[]): void {
    const before = this.#usedFiles.size;
    for (const file of files) this.#usedFiles.add(file);
    if (this.#usedFiles.size > before) this.onFileUsed?.();
  }

  /** False once the script is gone: it can register nothing more. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How many things belong to it now. */
  get size(): number {
    return this.#disposers.size;
  }

  /**
   * Takes something into possession.
   *
   * @param dispose removes it; called once, unless it is released before
   * @throws Error when the script is gone; the thing must not be registered then
   */
  own(dispose: () => void): Owned {
    this.check();
    // One function may dispose of two things.
    const entry = () => dispose();
    this.#disposers.add(entry);
    return { release: () => void this.#disposers.delete(entry) };
  }

  /** @throws Error when the script is gone */
  check(): void {
    if (!this.#isOpen) {
      throw new Error(`${this.name} was unloaded, or is an earlier version: it can register nothing more`);
    }
  }

  /**
   * Disposes of everything, and takes nothing more.
   *
   * @returns what could not be disposed of
   */
  close(): Error[] {
    this.#isOpen = false;
    return this.dispose();
  }

  /**
   * Disposes of everything, the newest first.
   *
   * @returns what could not be disposed of
   */
  dispose(): Error[] {
    const failures: Error[] = [];
    for (const dispose of [...this.#disposers].reverse()) {
      // Another one may have released it since.
      if (!this.#disposers.delete(dispose)) continue;
      try {
        dispose();
      } catch (error) {
        failures.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
    return failures;
  }
}
