import { ReboxError } from "./rebox-error";

/** Reports a mistake in a configuration file: where it is, what is wrong and what would be accepted. */
export class ConfigError extends ReboxError {
  override readonly code = "REBOX_CONFIG";

  /**
   * Makes an error that begins with its place, so that editors and terminals can jump there.
   *
   * @param file the configuration file, as the user named it
   * @param line the 1-based line; undefined when the file as a whole is the problem
   * @param problem what is wrong and what to do next
   */
  constructor(
    readonly file: string,
    readonly line: number | undefined,
    readonly problem: string,
  ) {
    super(line === undefined ? `${file}: ${problem}` : `${file}:${line}: ${problem}`);
  }
}

/** Reports a permission that does not exist, or that lacks its folder. */
export class PermissionError extends ReboxError {
  override readonly code = "REBOX_PERMISSION";
}

/** Reports a quote that does not close. */
export class QuotingError extends ReboxError {
  override readonly code = "REBOX_QUOTING";
}

/** Reports that a function was cut off because it filled the memory that JavaScript may use. */
export class MemoryLimitError extends ReboxError {
  override readonly code = "REBOX_MEMORY_LIMIT";
}

/** Reports that something was given a time and did not end in it. */
export class TimeLimitError extends ReboxError {
  override readonly code = "REBOX_TIME_LIMIT";
}

/** Reports that something was cancelled by the one who asked for it. */
export class CancelledError extends ReboxError {
  override readonly code = "REBOX_CANCELLED";
}

/** Reports that a file of rebox itself is missing: its checkout or package is not whole. */
export class InstallationError extends ReboxError {
  override readonly code = "REBOX_INSTALLATION";
}

/** Reports that a setting does not accept a text; the reader makes a ConfigError of it, with the place. */
export class SettingError extends ReboxError {
  override readonly code = "REBOX_SETTING";

  /** @param problem the part behind the setting's name: "is br9, but there is no such network interface"; without it "it must be ..." */
  constructor(readonly problem?: string) {
    super(problem ?? "a setting does not accept its text");
  }
}
