import { ConfigError } from "../errors";
import { ConfigWarning } from "../config-warning";
import type { ConfigPlace } from "./config-node";

/** Collects everything that is wrong with configuration files, so that all of it is reported at once. */
export class ConfigProblems {
  readonly errors: ConfigError[] = [];
  readonly warnings: ConfigWarning[] = [];

  /** Adds a mistake. */
  error(place: ConfigPlace, problem: string): void {
    this.errors.push(new ConfigError(place.file, place.line, problem));
  }

  /** Adds something that is probably a mistake. */
  warn(place: ConfigPlace, problem: string): void {
    this.warnings.push(new ConfigWarning(place.file, place.line, problem));
  }

  /**
   * Adds an error that a parser threw.
   *
   * @throws whatever is no ConfigError
   */
  add(error: unknown): void {
    if (!(error instanceof ConfigError)) throw error;
    this.errors.push(error);
  }

  /** Adds all that another collection holds. */
  addAll(other: ConfigProblems): void {
    this.errors.push(...other.errors);
    this.warnings.push(...other.warnings);
  }
}
