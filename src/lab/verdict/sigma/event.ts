/** A value of an event, with its form in lower case: most rules ask for that. */
export interface FieldValue {
  readonly text: string;
  readonly lower: string;
}

/** An event as Sigma's rules see it: its fields by the names of the log source's taxonomy. */
export class SigmaEvent {
  readonly #values = new Map<string, FieldValue>();

  /**
   * @param category the log source's category, such as "process_creation"
   * @param fields values by name; one that is undefined or null is not there
   */
  constructor(
    readonly category: string,
    fields: Readonly<Record<string, string | number | boolean | null | undefined>>,
  ) {
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined || value === null) continue;
      const text = String(value);
      this.#values.set(name, { text, lower: text.toLowerCase() });
    }
  }

  find(field: string): FieldValue | undefined {
    return this.#values.get(field);
  }

  list(): Iterable<FieldValue> {
    return this.#values.values();
  }
}

/** A test that an event passes or not. */
export type EventTest = (event: SigmaEvent) => boolean;
