/** Carries out one operation for a script in the sandbox. Arguments and result are copies; a promise may be returned. */
export type Operation = (...args: unknown[]) => unknown;

/** Operations by name. */
export type Operations = Readonly<Record<string, Operation>>;

/** What an operation can do with the script that asked for it. */
export interface Caller {
  /** The script's module name. */
  readonly name: string;
  /** Tells the script what has happened to something that it has opened; dropped when it is gone. */
  emit(id: number, value: unknown): void;
  /** Makes a number that nothing else of this script has. */
  createId(): number;
  /** @throws Error that says how to permit it, unless it is permitted */
  demand(isPermitted: boolean, what: string, permission: string): void;
}
