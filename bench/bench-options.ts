import { parseArgs } from "node:util";

const DEFAULT_PAIRS = 5;
const QUICK_PAIRS = 2;

/** What the benchmark is asked for. */
export interface BenchOptions {
  readonly pairs: number;
  /** The names of the measures to run; empty for all. */
  readonly only: readonly string[];
  /** Whether a limit that is not kept is a failure. */
  readonly limits: boolean;
  readonly help: boolean;
}

/**
 * Reads the command line.
 *
 * @param argv without Node and the program's name
 * @param names the measures there are
 * @throws RangeError or TypeError that says what is wrong with it
 */
export function parseBenchOptions(argv: readonly string[], names: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      pairs: { type: "string" },
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      "no-limits": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const pairs = values.pairs === undefined ? (values.quick ? QUICK_PAIRS : DEFAULT_PAIRS) : Number(values.pairs);
  if (!Number.isInteger(pairs) || pairs < 1) {
    throw new RangeError(`--pairs ${values.pairs}: a whole number from 1`);
  }
  for (const name of values.only) {
    if (!names.includes(name)) {
      throw new RangeError(`--only ${name}: there are ${names.join(", ")}`);
    }
  }
  return { pairs, only: values.only, limits: !values["no-limits"], help: values.help };
}
