import { CROSSING_ERRORS } from "./crossing-errors";
import { OPERATIONS } from "./operations";
import type { OperationDescription } from "./raw-host";

/** The sandbox's own code has these, because they are called often or take functions: realm/api.ts. */
const MADE_INSIDE = [
  ...["CallbackManager", "Cpu", "Engine", "EventBatch", "GuestFile", "TranslationBlock", "getNumCpus"],
  ...[
    "answerCpuid",
    "answerSystemCall",
    "getRunningProcess",
    "hookFunction",
    "hot",
    "isKernelRunning",
    "readCpu",
    "readPa",
    "readVa",
    "viewPa",
    "volatility",
    "writePa",
    "writeVa",
  ],
];

/** The functions, classes and objects of "rebox" that a script in the sandbox has; constants it has all. */
export const SANDBOX_NAMES: readonly string[] = [
  ...Object.keys(OPERATIONS).filter((name) => !name.includes(".")),
  ...Object.keys(CROSSING_ERRORS),
  ...MADE_INSIDE,
];

const DESCRIPTIONS = JSON.stringify(
  Object.entries(OPERATIONS).map(([name, { parameters, keyLength, rules }]): OperationDescription => {
    const kinds = parameters.slice(keyLength);
    return {
      name,
      // Of what a script gives beyond its parameters a function takes no notice, so it need not cross.
      most: kinds.at(-1)?.isRest === true ? null : kinds.length,
      texts: kinds.flatMap(({ kind }, index) => (kind === "text" ? [index] : [])),
      isAsync: rules.isAsync === true,
      isGetter: rules.isGetter === true,
      result: rules.result ?? "copy",
    };
  }),
);

/**
 * Describes what a script in the sandbox imports as "rebox".
 *
 * @param api the "rebox" of a trusted script
 */
export function describeApi(api: object) {
  const entries = Object.entries(api) as [string, unknown][];
  const isPrimitive = ([, value]: [string, unknown]) => typeof value !== "function" && typeof value !== "object";
  const manager = (api as { CallbackManager?: object }).CallbackManager ?? {};
  return {
    constants: Object.fromEntries(entries.filter(isPrimitive)),
    types: Object.fromEntries(Object.entries(manager).filter(([, value]) => typeof value === "string")),
    operations: DESCRIPTIONS,
  };
}
