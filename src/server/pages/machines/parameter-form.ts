import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { ParameterSchema } from "../../../investigation/parameters";
import { BadRequestError } from "../../errors";
import { renderChoice, renderField } from "../layout";

/** The fields of a form as they were sent: one that is there more than once is a list. */
export type FormFields = Readonly<Record<string, unknown>>;

/** Begins the names of fields: those of the form itself are others. */
const ROOT = "p";
/** Stands for the name of an entry, which people choose. */
const ENTRY = "*";
const FIRST_ENTRY = "s1";
/** Deeper ones are written as JSON. */
const DEEPEST = 5;
const LINES = { text: 6, list: 2 } as const;

/** A type of a parameter; JSON Schema has more members than those that are read here. */
interface Node {
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly contentMediaType?: string;
}

type Kind = "object" | "entries" | "choice" | "switch" | "number" | "text" | "lines" | "JSON";

/** A parameter with its place. */
interface Place {
  readonly node: Node;
  /** The name of its field. */
  readonly path: string;
  /** Its own name. */
  readonly name: string;
  readonly isRequired: boolean;
  readonly depth: number;
}

/**
 * Renders a field for each parameter of a module, by its type, bounds, choices and default.
 *
 * @param given the fields as they were sent before; undefined for a new form, which has the defaults
 */
export function renderParameters(schema: ParameterSchema, given: FormFields | undefined): Markup {
  return markup`${listMembers({ node: schema, path: ROOT, name: "", isRequired: true, depth: 0 }).map((place) => renderPlace(place, given))}`; // prettier-ignore
}

/**
 * Makes the parameters of a module out of the fields of a form. What was left empty is left out; what does not fit its type stays as it is, so that
 * the module says what is wrong.
 *
 * @throws BadRequestError for JSON that is none
 */
export function readParameters(schema: ParameterSchema, given: FormFields): Record<string, unknown> {
  return readMembers({ node: schema, path: ROOT, name: "", isRequired: true, depth: 0 }, given);
}

function kindOf({ node, depth }: Place): Kind {
  const { type, enum: values, properties, additionalProperties, items } = node;
  if (values?.every((value) => typeof value === "string") === true) return "choice";
  if (type === "boolean") return "switch";
  if (type === "integer" || type === "number") return "number";
  if (type === "string") return "text";
  if (type === "array" && ["string", "integer", "number"].includes(String(items?.type))) return "lines";
  if (type === "object" && depth < DEEPEST) {
    if (properties !== undefined) return "object";
    if (typeof additionalProperties === "object") return "entries";
  }
  return "JSON";
}

function listMembers({ node, path, depth }: Place): Place[] {
  return Object.entries(node.properties ?? {}).map(([name, member]) => ({
    ...{ node: member, path: `${path}/${name}`, name, depth: depth + 1 },
    isRequired: node.required?.includes(name) === true && member.default === undefined,
  }));
}

function entryOf({ node, path, depth }: Place): Place {
  return { node: node.additionalProperties as Node, path: `${path}/${ENTRY}`, name: "", isRequired: true, depth: depth + 1 }; // prettier-ignore
}

function renderPlace(place: Place, given: FormFields | undefined): Markup {
  const { node, path, name, isRequired } = place;
  const { default: own, description } = node;
  const required = isRequired ? markup` required=""` : undefined;
  const sent = given === undefined ? undefined : textOf(given[path]);
  const hint = description === undefined ? {} : { hint: description };
  switch (kindOf(place)) {
    case "object":
      return renderGroup(name, description, listMembers(place), given);
    case "entries": {
      const label = renderField(`${path}/${ENTRY}`, `Name of the entry of ${name}`, { value: textOf(given?.[`${path}/${ENTRY}`]) ?? FIRST_ENTRY, hint: "Several are for the API and the terminal." }); // prettier-ignore
      const entry = entryOf(place);
      const members = kindOf(entry) === "object" ? listMembers(entry) : [entry];
      return markup`${label}${renderGroup(name, description, members, given)}`;
    }
    case "choice": {
      const values = node.enum!.map((value) => [String(value), String(value)] as const);
      return renderChoice(path, name, isRequired || own !== undefined ? values : [["", "not given"], ...values], sent ?? textOf(own) ?? ""); // prettier-ignore
    }
    case "switch": {
      const isOn = given === undefined ? own === true : sent !== undefined;
      return markup`<div class="field"><label><input type="checkbox" name="${path}" value="yes"${isOn ? markup` checked=""` : undefined} /> ${name}</label><span class="hint">${description}</span></div>`; // prettier-ignore
    }
    case "number":
      return renderField(path, name, { type: "number", value: sent ?? textOf(own), ...hint, more: markup`${boundsOf(node)}${required}` }); // prettier-ignore
    case "text": {
      if (node.contentMediaType !== undefined) return renderLines(place, sent ?? textOf(own), description, LINES.text);
      const longest = node.maxLength === undefined ? undefined : markup` maxlength="${node.maxLength}"`;
      return renderField(path, name, { value: sent ?? textOf(own), ...hint, more: markup`spellcheck="false"${longest}${required}` }); // prettier-ignore
    }
    case "lines":
      return renderLines(place, sent ?? (Array.isArray(own) ? own.join("\n") : undefined), `${description === undefined ? "" : `${description} `}One on each line.`, LINES.list); // prettier-ignore
    case "JSON":
      return renderLines(place, sent ?? (own === undefined ? undefined : JSON.stringify(own)), `${description === undefined ? "" : `${description} `}As JSON.`, LINES.list); // prettier-ignore
  }
}

function renderGroup(
  name: string,
  description: string | undefined,
  members: readonly Place[],
  given: FormFields | undefined,
): Markup {
  const shown = description === undefined ? undefined : markup`<p class="hint">${description}</p>`;
  return markup`<fieldset class="group"><legend>${name}</legend>${shown}<div class="grid">${members.map((member) => renderPlace(member, given))}</div></fieldset>`;
}

function renderLines(
  { path, name, isRequired }: Place,
  value: string | undefined,
  hint: string | undefined,
  rows: number,
): Markup {
  const described = hint === undefined ? undefined : markup` aria-describedby="hint-${path}"`;
  const below = hint === undefined ? undefined : markup`<span class="hint" id="hint-${path}">${hint}</span>`;
  // A line feed at the beginning of its content is none of its value (the HTML standard, 13.1.2.5).
  return markup`<div class="field"><label for="${path}">${name}</label><textarea id="${path}" name="${path}" rows="${rows}" spellcheck="false"${described}${isRequired ? markup` required=""` : undefined}>\n${value}</textarea>${below}</div>`; // prettier-ignore
}

/** Bounds that every whole number of JavaScript has are none. */
function boundsOf({ type, minimum, maximum, exclusiveMinimum }: Node): Markup {
  const isBound = (bound: number | undefined): bound is number => bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER; // prettier-ignore
  const least = minimum ?? exclusiveMinimum;
  return markup`step="${type === "integer" ? 1 : "any"}"${isBound(least) ? markup` min="${least}"` : undefined}${isBound(maximum) ? markup` max="${maximum}"` : undefined}`; // prettier-ignore
}

function readMembers(place: Place, given: FormFields): Record<string, unknown> {
  const read = listMembers(place).map((member) => [member.name, readPlace(member, given)] as const);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}

function readPlace(place: Place, given: FormFields): unknown {
  const { node, path } = place;
  const text = textOf(given[path]);
  switch (kindOf(place)) {
    case "object":
      return readMembers(place, given);
    case "entries": {
      const name = textOf(given[`${path}/${ENTRY}`]) ?? "";
      return name === "" ? {} : Object.fromEntries([[name, readPlace(entryOf(place), given)]]);
    }
    case "switch":
      return text !== undefined;
    case "number":
      return text === undefined || text === "" ? undefined : toNumber(text);
    case "text":
    case "choice":
      return text === "" ? undefined : text;
    case "lines": {
      const lines = (text ?? "").split(/\r?\n/).filter((line) => line.trim() !== "");
      return node.items?.type === "string" ? lines : lines.map(toNumber);
    }
    case "JSON":
      return text === undefined || text.trim() === "" ? undefined : parseJson(place.name, text);
  }
}

function toNumber(text: string): number | string {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new BadRequestError(`${name}: it is no JSON`);
  }
}

/** A field that should be there once is read as its first. */
function textOf(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" ? first : typeof first === "number" ? String(first) : undefined;
}
