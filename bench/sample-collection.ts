import type { Limit, ResultRow } from "./result-row";
import { getMedian } from "./sample-summary";

/** One row of a result: its samples as they come in, the row at the end. */
export class SampleCollection {
  readonly #rebox: number[] = [];
  readonly #plain: number[] = [];

  /**
   * @param name the row's name
   * @param unit of every sample
   * @param limit what the result has to keep to
   */
  constructor(
    private readonly name: string,
    private readonly unit: string,
    private readonly limit?: Limit,
  ) {}

  addRebox(sample: number): void {
    this.#rebox.push(sample);
  }

  /** Adds a sample of what rebox is compared with. The pairs are made by order. */
  addPlain(sample: number): void {
    this.#plain.push(sample);
  }

  /**
   * Makes the row.
   *
   * @throws RangeError without samples
   */
  toRow(): ResultRow {
    const compared = this.#plain.length > 0;
    const rebox = getMedian(this.#rebox);
    const ratios = this.#plain.map((plain, pair) => (this.#rebox[pair] as number) / plain);
    const ratio = compared ? getMedian(ratios) : undefined;
    return {
      name: this.name,
      unit: this.unit,
      rebox,
      ...(compared ? { plain: getMedian(this.#plain) } : {}),
      ...(ratio === undefined ? {} : { ratio }),
      ...(this.limit ? { limit: this.limit, ok: this.#keeps(this.limit, rebox, ratio) } : {}),
      samples: { rebox: this.#rebox, ...(compared ? { plain: this.#plain } : {}) },
    };
  }

  #keeps(limit: Limit, value: number, ratio: number | undefined): boolean {
    const judged = limit.of === "ratio" ? (ratio ?? Number.NaN) : value;
    return limit.bound === "at most" ? judged <= limit.value : judged >= limit.value;
  }
}
