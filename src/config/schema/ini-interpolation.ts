import { ConfigError } from "../errors";
import { type IniOption, stripBlanks } from "./ini-syntax";

/** The depth to which values may name values: configparser.MAX_INTERPOLATION_DEPTH. */
const DEEPEST = 10;

/**
 * Returns the value of an option as Python's ConfigParser does with its usual interpolation: `%%` is a percent sign,
 * `%(name)s` the value of another option of the section or of [DEFAULT], and `%(ENV:NAME)s` a variable of the
 * environment, as CAPE has it.
 *
 * @param option the option
 * @param options what it can name: the options of its section over those of [DEFAULT]
 * @throws ConfigError with the line, for another use of a percent sign, and a name that is not there
 */
export function interpolate(option: IniOption, options: ReadonlyMap<string, IniOption>): string {
  const raw = joinValue(option);
  if (!raw.includes("%")) return raw;
  const fail = (at: number, problem: string): never => {
    const line = option.value[raw.slice(0, at).split("\n").length - 1]?.line ?? option.line;
    throw new ConfigError(option.file, line, problem);
  };
  const read = (text: string, depth: number, outerAt: number | undefined): string => {
    if (depth > DEEPEST)
      return fail(
        outerAt ?? 0,
        `"${option.name}" names values that name values, over ${DEEPEST} levels; is it a circle?`,
      );
    return text.replaceAll(
      /%(?:(%)|\(([^)]+)\)s|)/g,
      (_, percent: string | undefined, name: string | undefined, offset: number) => {
        const at = outerAt ?? offset;
        if (percent !== undefined) return "%";
        if (name === undefined) {
          return fail(
            at,
            `"${option.name}" has a percent sign that is alone: write %% for one, or %(name)s for another value`,
          );
        }
        const value = findText(name.toLowerCase(), options);
        if (value !== undefined) return value.includes("%") ? read(value, depth + 1, at) : value;
        const variable = /^env:(.*)$/is.exec(name)?.[1];
        if (variable === undefined)
          return fail(at, `"${option.name}" names "${name}", which neither its section nor [DEFAULT] has`);
        return fail(at, `the environment has no variable ${variable}; set it, or write a value`);
      },
    );
  };
  return read(raw, 1, undefined);
}

/** Joins the lines of a value. Blank lines within stay; those at its end are none of it. */
function joinValue({ value }: IniOption): string {
  // The point keeps the blanks in front: Python strips the end only.
  return stripBlanks(`.${value.map((line) => line.text).join("\n")}`).slice(1);
}

function findText(name: string, options: ReadonlyMap<string, IniOption>): string | undefined {
  const option = options.get(name);
  if (option !== undefined) return joinValue(option);
  if (!name.startsWith("env:")) return undefined;
  const wanted = name.slice("env:".length);
  // Names of options have no case, so variables are found without theirs.
  const variable = Object.keys(process.env).find((each) => each.toLowerCase() === wanted);
  return variable === undefined ? undefined : process.env[variable]!.replaceAll("%", "%%");
}
