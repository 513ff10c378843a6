import { z } from "zod";
import { parseNamedValues } from "../../config/named-values";
import type { AnalysisRequest } from "../../lab/analysis/analysis-database";
import { findNetwork, NETWORK_FORMS } from "../../lab/network/network-choice";
import type { Caller } from "../accounts/roles";
import { AccessError, BadRequestError } from "../errors";

const LONGEST_TEXT = 10_000;
/** A day, in seconds. */
const LONGEST_S = 86_400;
const MOST_ITEMS = 100;
const MOST_RUNS = 20;
const DEFAULT_TIMEOUT_S = 120;

const text = (longest = LONGEST_TEXT) => z.string().max(longest);
const word = z.string().regex(/^[\w.@:-]{1,64}$/);
const pair = z.string().max(LONGEST_TEXT).regex(/^[\w.-]+=[^]*$/, "it must be NAME=VALUE"); // prettier-ignore
/** In a form, a field that is there once is a text and no list. */
const list = <Item extends z.ZodType>(item: Item) =>
  z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(item).max(MOST_ITEMS).default([])); // prettier-ignore

/** The fields of a request for analyses: those of `rebox analyze`, under the same names. */
export const SUBMISSION = z.object({
  machine: list(word).describe("The machine; several are an analysis on each; without it, any that is free."),
  command: text().optional().describe("What is run, for sh; $TARGET is the target."),
  member: text(1000).optional().describe("The file in an archive that is analysed."),
  password: text(200).optional().describe('Of that archive; "infected" without it.'),
  argument: list(text().regex(/^[^\0]*$/)).describe("An argument of the target; may be there more than once."),
  env: list(pair).describe("A variable of its environment, NAME=VALUE; may be there more than once."),
  user: z.string().regex(/^[A-Za-z_][\w.-]{0,63}$/).optional().describe("The user of the guest that it runs as."), // prettier-ignore
  folder: z.string().startsWith("/").max(1000).optional().describe("The folder of the guest in which it runs."),
  platform: word.optional().describe("Take a machine of this platform, where none is named."),
  tag: list(word).describe("Take a machine with this tag; may be there more than once."),
  timeout: z.coerce.number().min(0.001).max(LONGEST_S).default(DEFAULT_TIMEOUT_S).describe("How long the target may run, in seconds."), // prettier-ignore
  network: z
    .string()
    .refine((given) => findNetwork(given) !== undefined, `it must be ${NETWORK_FORMS}`)
    .optional()
    .describe(`${NETWORK_FORMS}; that of the machine without it. The last two are for administrators.`),
  options: text().optional().describe("For the auxiliary modules: NAME=VALUE,NAME=VALUE..."),
  option: list(pair).describe("One of those options, whose value may hold anything; may be there more than once."),
  runs: z.coerce.number().int().min(1).max(MOST_RUNS).default(1).describe("Analyse each target so often."),
  priority: z.coerce.number().int().min(1).max(3).default(1).describe("3 begins before 2, and 2 before 1."),
  not_before: z
    .preprocess(readMoment, z.iso.datetime({ error: "it must be a moment such as 2026-12-24T18:00:00Z" }).optional())
    .describe("Begin at this moment or later: ISO 8601, UTC where nothing else is said."),
  note: text(1000).optional().describe("A text of yours, which comes back with the analysis."),
});

/** Makes a moment in UTC of what people and browsers write; the schema refuses the rest. */
function readMoment(given: unknown): unknown {
  if (typeof given !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?$/.test(given))
    return given;
  const moment = new Date(/(Z|[+-]\d\d:\d\d)$/.test(given) ? given : `${given}Z`);
  return Number.isNaN(moment.getTime()) ? given : moment.toISOString();
}

export type SubmissionFields = z.infer<typeof SUBMISSION>;

/**
 * Makes the analyses that fields ask for of one target.
 *
 * @param target absolute path; undefined for a command alone
 * @param form the fields of another tool's form of which these were made
 * @throws BadRequestError when they contradict each other; AccessError for a network that lets the guest out
 */
export function createRequests(
  fields: SubmissionFields,
  target: string | undefined,
  caller: Caller,
  form?: Readonly<Record<string, string>>,
): AnalysisRequest[] {
  const { command, member, password, machine, platform, tag: tags, network } = fields;
  if (target === undefined && (command === undefined || command.trim() === ""))
    throw new BadRequestError("there is nothing to analyse: send a file as `file`, or what to run as `command`");
  if (target === undefined && (member ?? password) !== undefined)
    throw new BadRequestError("`member` and `password` are about an archive: send it as `file`");
  if (machine.length > 0 && (platform !== undefined || tags.length > 0))
    throw new BadRequestError("`platform` and `tag` choose a machine, and `machine` has named one; leave out either");
  checkNetwork(network, caller);
  const machines = machine.length === 0 ? [undefined] : machine;
  return machines.flatMap((name) =>
    Array.from({ length: fields.runs }, () => ({
      ...{
        machine: name,
        target,
        command,
        options: readOptions(fields),
        timeoutS: fields.timeout,
        scripts: [],
        network,
      },
      start: { args: fields.argument, env: toPairs(fields.env), user: fields.user, workingFolder: fields.folder },
      ...{ archive: { member, password }, choice: { platform, tags } },
      submission: { by: caller.user, priority: fields.priority, note: fields.note, notBefore: fields.not_before, form },
    })),
  );
}

/** @throws AccessError when a network lets the guest out, and the caller is no administrator */
function checkNetwork(network: string | undefined, caller: Caller): void {
  const kind = network === undefined ? undefined : findNetwork(network)?.kind;
  if ((kind === "user" || kind === "bridge") && !caller.rights.has("administer"))
    throw new AccessError(`the network ${network} lets the target reach others; only administrators may choose it`, 403); // prettier-ignore
}

function readOptions({ options = "", option }: SubmissionFields): Record<string, string> {
  const pairs = options.trim() === "" ? [] : parseNamedValues(options);
  if ("wrong" in pairs) throw new BadRequestError(`\`options\` is NAME=VALUE,NAME=VALUE...; no such pair: "${pairs.wrong}"`); // prettier-ignore
  return { ...Object.fromEntries(pairs.map(({ name, value }) => [name, value])), ...toPairs(option) };
}

function toPairs(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]));
}
