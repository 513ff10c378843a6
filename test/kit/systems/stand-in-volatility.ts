import { spawn } from "node:child_process";
import { readdirSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Stands in for Volatility 3 where tests need one that fails: it takes exactly the arguments that rebox gives, and looks at the
 * files that they name and at the guest's memory. What it does is the name of the plugin.
 *
 * STAND_IN: "version=X" says another version, "broken" fails as a Python without its packages. STAND_IN_PIDS: the file to which
 * the processes of an endless plugin are written.
 */

const PLUGINS = [
  "linux.good.Good",
  "linux.fails.Fails",
  "linux.garbage.Garbage",
  "linux.endless.Endless",
  "linux.pslist.PsList",
];
const CONFIG_KEYS = [
  "kernel.class",
  "kernel.layer_name.class",
  "kernel.layer_name.kernel_banner",
  "kernel.layer_name.kernel_virtual_offset",
  "kernel.layer_name.memory_layer.base_layer.class",
  "kernel.layer_name.memory_layer.base_layer.descriptor",
  "kernel.layer_name.memory_layer.class",
  "kernel.layer_name.memory_layer.pieces",
  "kernel.layer_name.page_map_offset",
  "kernel.offset",
  "kernel.symbol_table_name.class",
  "kernel.symbol_table_name.isf_url",
  "kernel.symbol_table_name.symbol_mask",
  "primary.base_layer.class",
  "primary.base_layer.descriptor",
  "primary.class",
  "primary.pieces",
];

function refuse(problem: string): never {
  process.stderr.write(`usage: vol ...\nvol: error: ${problem}\n`);
  process.exit(2);
}

/** The arguments, in the one order in which rebox gives them. */
function readArguments(argv: readonly string[]) {
  const left = [...argv];
  const take = (option: string): string => {
    if (left.shift() !== option) refuse(`${option} expected in ${argv.join(" ")}`);
    return left.shift() ?? refuse(`${option} needs a value`);
  };
  const [config, plugins, cache] = [take("-c"), take("-p"), take("--cache-path")];
  if (left.shift() !== "--offline") refuse("--offline expected");
  const output = take("-o");
  if (take("-r") !== "json") refuse("-r json expected");
  const isQuiet = left[0] === "-q";
  if (isQuiet) left.shift();
  const [plugin = refuse("a plugin expected"), ...rest] = left;
  for (const folder of [plugins, cache, output]) {
    if (!isAbsolute(folder) || !statSync(folder).isDirectory()) refuse(`${folder} is no folder`);
  }
  if (!readdirSync(plugins).includes("rebox_memory.py")) refuse(`${plugins} has no layers`);
  return { config, plugin, rest, isQuiet };
}

type Config = Readonly<Record<string, string | number>>;

/** Reads guest-physical memory out of descriptor 3. */
function createReader(pieces: string): (address: bigint, size: number) => Buffer {
  const list = pieces.split(" ").map((word) => word.split(":").map((number) => BigInt(`0x${number}`)));
  return (address, size) => {
    const piece = list.find(
      ([start = 0n, length = 0n]) => address >= start && address + BigInt(size) <= start + length,
    );
    if (!piece) refuse(`there is no RAM at ${address.toString(16)}`);
    const [start = 0n, , place = 0n] = piece;
    const bytes = Buffer.alloc(size);
    if (readSync(3, bytes, 0, size, place + (address - start)) !== size) refuse("the memory ends");
    return bytes;
  };
}

/** Translates by four levels of page tables (Intel SDM volume 3, 4.5). */
function translate(read: (address: bigint, size: number) => Buffer, root: bigint, address: bigint): bigint {
  let table = root;
  for (let level = 4; level > 0; level--) {
    const shift = BigInt(12 + 9 * (level - 1));
    const entry = read(table + ((address >> shift) & 0x1ffn) * 8n, 8).readBigUInt64LE();
    if ((entry & 1n) === 0n) refuse(`${address.toString(16)} is not mapped`);
    const frame = entry & 0x000ffffffffff000n;
    if (level === 1 || (entry & 0x80n) !== 0n) return ((frame >> shift) << shift) | (address & ((1n << shift) - 1n));
    table = frame;
  }
  return refuse("no page");
}

interface SymbolFile {
  readonly symbols: Readonly<Record<string, { readonly address: string; readonly constant_data?: string }>>;
  readonly user_types: Readonly<
    Record<string, { readonly fields: Readonly<Record<string, { readonly offset: number }>> }>
  >;
}

/** The guest as the configuration and the symbol file that it names describe it. */
class Guest {
  readonly #isf: SymbolFile;
  readonly #physical: (address: bigint, size: number) => Buffer;

  constructor(private readonly config: Config) {
    const text = readFileSync(fileURLToPath(String(config["kernel.symbol_table_name.isf_url"])), "utf8");
    // Addresses are more than what a JSON number holds exactly here.
    this.#isf = JSON.parse(text.replace(/"address":(\d+)/g, '"address":"$1"')) as SymbolFile;
    this.#physical = createReader(String(config["kernel.layer_name.memory_layer.pieces"]));
  }

  symbol(name: string): bigint {
    const { address } = this.#isf.symbols[name] ?? refuse(`the symbol file has no ${name}`);
    return BigInt.asUintN(48, BigInt(address) + BigInt(this.config["kernel.layer_name.kernel_virtual_offset"] ?? 0));
  }

  offset(struct: string, field: string): bigint {
    const found = this.#isf.user_types[struct]?.fields[field] ?? refuse(`the symbol file has no ${struct}.${field}`);
    return BigInt(found.offset);
  }

  /** Reads virtual memory that lies within a page. */
  read(address: bigint, size: number): Buffer {
    const root = BigInt(this.config["kernel.layer_name.page_map_offset"] ?? 0);
    return this.#physical(translate(this.#physical, root, address), size);
  }

  /** Compares the kernel's banner in memory with what the symbol file and the configuration say. */
  check(): string {
    const expected = Buffer.from(this.#isf.symbols["linux_banner"]?.constant_data ?? refuse("no banner"), "base64");
    const found = this.read(this.symbol("linux_banner"), expected.length);
    if (!found.equals(expected)) refuse(`the guest has "${found.toString("latin1")}" where its banner is to be`);
    const text = found.toString("latin1").replace(/[\n\0]+$/, "");
    if (text !== this.config["kernel.layer_name.kernel_banner"]) refuse("the configuration is for another kernel");
    return text;
  }

  /** Goes through the list of processes (task_struct.tasks). */
  *processes(): Iterable<{ readonly PID: number; readonly PPID: number; readonly COMM: string }> {
    const [tasks, pid, comm, parent] = ["tasks", "tgid", "comm", "real_parent"].map((name) =>
      this.offset("task_struct", name),
    ) as [bigint, bigint, bigint, bigint];
    const first = this.symbol("init_task") + tasks;
    for (let at = this.#pointer(first); BigInt.asUintN(48, at) !== first; at = this.#pointer(at)) {
      const task = at - tasks;
      const name = this.read(task + comm, 16);
      yield {
        PID: this.read(task + pid, 4).readInt32LE(),
        PPID: this.read(this.#pointer(task + parent) + pid, 4).readInt32LE(),
        COMM: name.toString("latin1", 0, name.indexOf(0)),
      };
    }
  }

  #pointer(address: bigint): bigint {
    return this.read(address, 8).readBigUInt64LE();
  }
}

function runGood(config: Config): void {
  const banner = new Guest(config).check();
  process.stderr.write(
    "Volatility 3 Framework 2.28.2\n\rProgress:   50.00\t\tLooking   \r\rProgress:  100.00\t\tDone   \r\n",
  );
  process.stderr.write("WARNING  volatility3: something odd\n");
  const row = { Name: banner, PID: 1, Offset: 0xf0, Big: "BIG", Ratio: 0.5, Flag: true, Nothing: null, __children: [] };
  process.stdout.write(`\n${JSON.stringify([row]).replace('"BIG"', "18446744073709551615")}\n`);
}

function runEndless(): void {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });
  writeFileSync(join(process.env["TMPDIR"] ?? refuse("there is no TMPDIR"), "rubbish"), "x");
  writeFileSync(process.env["STAND_IN_PIDS"] ?? refuse("there is no STAND_IN_PIDS"), `${process.pid} ${child.pid}`);
  process.stderr.write("\rProgress:    1.00\t\tNever\r");
  process.on("SIGTERM", () => undefined);
}

function main(): void {
  const behaviour = process.env["STAND_IN"] ?? "";
  if (behaviour === "broken") {
    process.stderr.write("Traceback (most recent call last):\nModuleNotFoundError: No module named 'volatility3'\n");
    process.exit(1);
  }
  const version = /^version=(.*)$/.exec(behaviour)?.[1] ?? "2.28.2";
  if (process.argv.slice(2).join(" ") === "-h") {
    const lines = PLUGINS.map((name) => `    ${name.padEnd(30)} Does what its name says.\n`);
    process.stdout.write(
      `Volatility 3 Framework ${version}\nusage: vol ...\n\nPlugins:\n  For plugin specific options\n\n  PLUGIN\n${lines.join("")}`,
    );
    return;
  }
  const { config: path, plugin, rest } = readArguments(process.argv.slice(2));
  const config = JSON.parse(readFileSync(path, "utf8")) as Config;
  const keys = Object.keys(config).sort();
  if (JSON.stringify(keys) !== JSON.stringify(CONFIG_KEYS)) refuse(`the configuration has ${keys.join(" ")}`);
  if (plugin === "linux.endless.Endless") return runEndless();
  if (rest.length > 0) refuse(`unrecognized arguments: ${rest.join(" ")}`);
  if (plugin === "linux.good.Good") runGood(config);
  else if (plugin === "linux.pslist.PsList")
    process.stdout.write(`${JSON.stringify([...new Guest(config).processes()])}\n`);
  else if (plugin === "linux.garbage.Garbage") process.stdout.write("this is no JSON\n");
  else {
    process.stderr.write(
      "Volatility was unable to read a requested page:\nPage error 0xdead in layer layer_name\n\n\t* A bug\n",
    );
    process.stderr.write("\nNo further results will be produced\n");
    process.exit(1);
  }
}

main();
