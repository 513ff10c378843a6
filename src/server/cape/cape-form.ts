import { parseNamedValues } from "../../config/named-values";
import { splitQuotedWords } from "../../config/quoted-words";
import { BadRequestError } from "../errors";
import type { ShownMachine } from "../machines/machine-watch";

const DEFAULT_TIMEOUT_S = 120;
/** The texts of a form that mean yes. */
const YES = /^(true|yes|on|1)$/i;
/** CAPE's routes, and the networks of rebox that they are; "" leaves it to the machine. */
const ROUTES: Readonly<Record<string, string>> = { "": "", false: "", none: "none", drop: "none", inetsim: "simulated", internet: "user" }; // prettier-ignore
/** The text by which CAPE's client of Assemblyline knows that a tag is wrong. */
const WRONG_TAGS = "Check Tags help, you have introduced incorrect tag(s).";

/**
 * Makes of the fields of a form, as CAPE's clients send them, those of rebox.
 *
 * @param form texts; what rebox has no counterpart of is left out
 * @param machines of the lab
 * @throws BadRequestError for what cannot be done
 */
export function readCapeForm(
  form: Readonly<Record<string, string>>,
  machines: readonly ShownMachine[],
): Record<string, unknown> {
  // prettier-ignore
  // Clients end the list with a comma.
  const text = (form.options ?? "").replace(/[\s,]+$/, "");
  const pairs = text === "" ? [] : parseNamedValues(text);
  if ("wrong" in pairs) throw new BadRequestError(`options is NAME=VALUE,NAME=VALUE...; no such pair: "${pairs.wrong}"`); // prettier-ignore
  const options = Object.fromEntries(pairs.map(({ name, value }) => [name, value]));
  const { arguments: line, file, password, ...others } = options;
  if (YES.test(form.memory ?? "")) others.memory = "yes";
  const clock = form.clock?.trim() ?? "";
  if (clock !== "" && !clock.includes("1970")) others.clock = clock;
  const timeout = Number(form.timeout);
  const priority = Number(form.priority);
  return {
    ...chooseMachine(form, machines),
    timeout: timeout > 0 ? timeout : DEFAULT_TIMEOUT_S,
    priority: priority >= 1 && priority <= 3 ? Math.floor(priority) : 1,
    network: readRoute(form.route ?? ""),
    note: form.custom,
    argument: line === undefined ? [] : readArguments(line),
    // An empty file= says that an archive is not to be unpacked, which rebox decides by its name.
    member: file === "" ? undefined : file,
    // Several may be tried by CAPE; rebox takes the first.
    password: password?.split(":")[0],
    option: Object.entries(others).map(([name, value]) => `${name}=${value}`),
  };
}

function readArguments(line: string): string[] {
  try {
    return splitQuotedWords(line);
  } catch (error) {
    throw new BadRequestError(`arguments: ${(error as Error).message}`);
  }
}

function chooseMachine(
  form: Readonly<Record<string, string>>,
  machines: readonly ShownMachine[],
): Record<string, unknown> {
  // prettier-ignore
  const machine = form.machine?.trim() ?? "";
  const own = machines.filter(({ cloneOf }) => cloneOf === undefined);
  if (/^all$/i.test(machine)) return { machine: own.map(({ name }) => name) };
  if (machine !== "") {
    const found = machines.find(({ name, label }) => name === machine || label === machine);
    if (found === undefined) throw new BadRequestError(`Machine ${machine} does not exist; there are ${own.map(({ name }) => name).join(", ") || "none"}`); // prettier-ignore
    return { machine: [found.name] };
  }
  const platform = form.platform?.trim() || undefined;
  const tags = (form.tags ?? "").split(",").map((tag) => tag.trim()).filter((tag) => tag !== ""); // prettier-ignore
  const fitting = machines.filter((each) => tags.every((tag) => each.tags.includes(tag)));
  if (tags.length > 0 && fitting.length === 0) throw new BadRequestError(`${WRONG_TAGS} Tags that machines have: ${[...new Set(machines.flatMap((each) => each.tags))].join(", ") || "none"}`); // prettier-ignore
  if (platform !== undefined && !fitting.some((each) => each.platform === platform))
    throw new BadRequestError(`no machine is for ${platform}; there is ${[...new Set(machines.map((each) => each.platform))].join(", ") || "none"}`); // prettier-ignore
  return { platform, tag: tags };
}

function readRoute(route: string): string | undefined {
  const network = Object.hasOwn(ROUTES, route.toLowerCase()) ? ROUTES[route.toLowerCase()] : undefined;
  if (network === undefined) throw new BadRequestError(`there is no route ${route}; there are none, drop, inetsim and, for administrators, internet`); // prettier-ignore
  return network === "" ? undefined : network;
}

/** Returns whether a text of a form means yes. */
export function isYes(text: string | undefined): boolean {
  return YES.test(text ?? "");
}
