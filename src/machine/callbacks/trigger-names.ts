import { readFileSync } from "node:fs";
import { findNearestName } from "../../config/nearest-name";

/** The exported name of REBOX_TRIGGER_ANY_VARIABLE in triggers/rebox_trigger.h. */
const ANY_VARIABLE = "rebox_trigger_any_variable";
const WORD = /[A-Za-z_]\w{1,63}(?=\0)/g;

/**
 * The names that a compiled trigger can ask for. The compiler keeps each name that is given to get_var() and the like as text
 * with a zero behind it, so a name that is not in the file is none of a variable.
 */
export class TriggerNames {
  readonly #text: string;

  /** @param library the path of the compiled trigger */
  constructor(library: string) {
    this.#text = readFileSync(library, "latin1");
  }

  /** Returns whether the trigger may ask for a variable of this name. */
  mayHave(name: string): boolean {
    const bytes = Buffer.from(name, "utf8").toString("latin1");
    return this.#text.includes(`${bytes}\0`) || this.#text.includes(`${ANY_VARIABLE}\0`);
  }

  /** Finds the name in the trigger that a misspelt one probably stands for. */
  findNearest(name: string): string | undefined {
    return findNearestName(name, [...new Set(this.#text.match(WORD) ?? [])]);
  }
}
