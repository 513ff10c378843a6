/** What a cell of a row, or a value of data, may be. A bigint is an address or a bit pattern: it is shown in hexadecimal. */
export type CommandValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | readonly CommandValue[]
  | { readonly [name: string]: CommandValue };

/** Things of one kind, one for each row. */
export interface RowsResult {
  readonly kind: "rows";
  /** The members of a row that are shown, in order. */
  readonly columns: readonly string[];
  readonly rows: readonly { readonly [column: string]: CommandValue }[];
  /** A sentence below the rows. */
  readonly note?: string | undefined;
}

/** Sentences, or nothing at all. */
export interface TextResult {
  readonly kind: "text";
  readonly text: string;
}

/** Something with a form of its own: a dump, a listing of code. */
export interface DataResult {
  readonly kind: "data";
  readonly text: string;
  readonly data: CommandValue;
}

/** What a command answers. It is shown by renderText() and renderJson(), whoever asked. */
export type CommandResult = RowsResult | TextResult | DataResult;

/** Makes a result of sentences. */
export function textResult(text: string): TextResult {
  return { kind: "text", text };
}
