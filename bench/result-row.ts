/** What a row's result has to keep to: its own value, or its ratio to plain QEMU's. */
export interface Limit {
  readonly of: "value" | "ratio";
  readonly bound: "at most" | "at least";
  readonly value: number;
}

/** One line of the result: one number, measured several times. */
export interface ResultRow {
  readonly name: string;
  /** "ms", "ns", "M/s", "%" ... of the samples and medians; a ratio has none. */
  readonly unit: string;
  /** The median of rebox's samples. */
  readonly rebox: number;
  /** The median of what it is compared with, where it is compared. */
  readonly plain?: number;
  /** The median of the pairs' ratios, rebox to plain: not the ratio of the medians. */
  readonly ratio?: number;
  readonly limit?: Limit;
  /** Whether the limit is kept; undefined without a limit. */
  readonly ok?: boolean;
  /** In the order they were measured; the n-th of rebox and the n-th of plain are a pair. */
  readonly samples: { readonly rebox: readonly number[]; readonly plain?: readonly number[] };
}
