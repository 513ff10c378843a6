import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

/** The content of an INI file by sections and options; undefined when Python refuses the file. */
export type ParsedIni = Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;

/** Python's own parser with what CAPE gives it: no settings but the variables of the environment, as defaults. */
const PROGRAM = `
import configparser, io, json, os, sys
for line in sys.stdin:
    answers = []
    for text in json.loads(line):
        try:
            parser = configparser.ConfigParser({"ENV:" + key: value.replace("%", "%%") for key, value in os.environ.items()})
            data = io.TextIOWrapper(io.BytesIO(text.encode("utf-8")), encoding="utf-8")
            parser.read_file(data, "it")
            answers.append({section: {key: value for key, value in parser.items(section) if not key.startswith("env:")}
                            for section in parser.sections()})
        except configparser.Error:
            answers.append(None)
    print(json.dumps(answers), flush=True)
`;

/** One Python process that reads INI files by its standard library, many at a time. */
export class PythonConfigParser {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #waiting: ((line: string) => void)[] = [];

  constructor(environment: Readonly<Record<string, string>>) {
    this.#child = spawn("python3", ["-c", PROGRAM], { env: { PATH: process.env.PATH, ...environment } });
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface(this.#child.stdout);
    this.#lines.on("line", (line) => this.#waiting.shift()!(line));
  }

  /** Reads files, in their order. */
  async read(texts: readonly string[]): Promise<ParsedIni[]> {
    const line = await new Promise<string>((resolve, reject) => {
      this.#child.once("exit", () => reject(new Error("python3 has ended")));
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${JSON.stringify(texts)}\n`);
    });
    this.#child.removeAllListeners("exit");
    return (JSON.parse(line) as (ParsedIni | null)[]).map((each) => each ?? undefined);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    await ended;
  }
}
