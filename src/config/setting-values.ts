import { ConfigError } from "./errors";
import type { IniEntry } from "./ini-document";
import { QuotingError } from "./errors";
import { splitQuotedWords } from "./quoted-words";

const TRUE_WORDS = ["true", "yes", "on", "1"];
const FALSE_WORDS = ["false", "no", "off", "0"];

/** Reads the values of one configuration file's settings; every error names the setting, its place and what is accepted. */
export class SettingValues {
  /** @param file the name to use in errors */
  constructor(private readonly file: string) {}

  /**
   * Reads a value that must be one line.
   *
   * @returns the value, never empty
   * @throws ConfigError for an empty value or one continued on another line
   */
  getText(entry: IniEntry, accepted: string): string {
    const [first, second] = entry.value;
    if (second !== undefined) {
      const problem = `an indented line continues the value of "${entry.key}" above, which must be one line; start it in the first column if it is a key of its own`;
      throw new ConfigError(this.file, second.line, problem);
    }
    if (first === undefined || first.text === "") {
      throw new ConfigError(this.file, entry.line, `"${entry.key}" has no value; give it ${accepted}`);
    }
    return first.text;
  }

  /** Reads a switch: True, yes, on, 1 or False, no, off, 0, in any case. Throws ConfigError for anything else. */
  getBoolean(entry: IniEntry): boolean {
    const accepted = `one of ${[...TRUE_WORDS, ...FALSE_WORDS].join(", ")}`;
    const text = this.getText(entry, accepted).toLowerCase();
    if (TRUE_WORDS.includes(text)) return true;
    if (FALSE_WORDS.includes(text)) return false;
    throw this.refuse(entry, accepted);
  }

  /** Reads a whole number within [minimum, maximum]. Throws ConfigError for anything else. */
  getInteger(entry: IniEntry, minimum: number, maximum: number, unit: string): number {
    const accepted = `a whole number of ${unit} from ${minimum} to ${maximum}`;
    const text = this.getText(entry, accepted);
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) throw this.refuse(entry, accepted);
    return value;
  }

  /** Reads shell-like words over one or more lines; a quote must close on its own line. Throws ConfigError. */
  getWords(entry: IniEntry): string[] {
    return entry.value.flatMap(({ text, line }) => {
      try {
        return splitQuotedWords(text);
      } catch (error) {
        if (error instanceof QuotingError) throw new ConfigError(this.file, line, `"${entry.key}": ${error.message}`);
        throw error;
      }
    });
  }

  private refuse(entry: IniEntry, accepted: string): ConfigError {
    const shown = JSON.stringify(entry.value[0]?.text ?? "");
    return new ConfigError(this.file, entry.line, `"${entry.key}" is ${shown}; it must be ${accepted}`);
  }
}
