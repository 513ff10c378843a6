import { getSystem } from "../../../guest/guest";
import { OtherSystemError } from "../../../systems/errors";
import type { RegistryKey, RegistryValue } from "../../../systems/windows/registry/registry";
import { WindowsGuest } from "../../../systems/windows/windows-guest";
import { CommandError } from "../../errors";
import { type Command, defineCommand } from "../command";
import type { CommandResult } from "../command-result";

/** In characters: a value's data in a line. */
const LONGEST_DATA = 160;

export const WINDOWS_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "registry",
    usage: "[KEY]",
    help:
      "Shows a key of a Windows guest's registry: its values and subkeys. Without KEY: the hives that are loaded.\n" +
      "A key begins with HKLM, HKU or \\REGISTRY: registry HKLM\\SYSTEM\\Select",
    parse: (input) => input.find(),
    run: (path) => (path === undefined ? listHives(getWindows()) : showKey(getWindows(), path)),
  }),
  defineCommand({
    name: "callbacks",
    help: "Lists the functions that a Windows kernel calls because drivers have asked for it, and whose they are.",
    parse: (input) => input.end(),
    run: () => {
      const rows = getWindows()
        .getCallbacks()
        .map(({ occasion, address, module, symbol, detail }) => ({ occasion, address, module, symbol, detail }));
      const lost = rows.filter(({ module }) => module === "").length;
      const note = lost > 0 ? `${lost} lead into no module` : rows.length === 0 ? "there are no callbacks" : undefined;
      return { kind: "rows", columns: ["occasion", "address", "module", "symbol", "detail"], rows, note };
    },
  }),
  defineCommand({
    name: "ssdt",
    help: "Lists the system calls of a Windows guest, and the functions that its table leads to.",
    parse: (input) => input.end(),
    run: () => {
      const services = getWindows().getServices();
      const foreign = services.filter(({ isForeign }) => isForeign).length;
      const rows = services.map(({ number, name, address, module }) => ({ number, name, address, module }));
      const note = foreign > 0 ? `${foreign} lead out of the kernel` : undefined;
      return { kind: "rows", columns: ["number", "name", "address", "module"], rows, note };
    },
  }),
  defineCommand({
    name: "psview",
    help: "Compares the places where a Windows kernel knows its processes; one that is hidden is missing in its list.",
    parse: (input) => input.end(),
    run: () => {
      const found = getWindows().compareProcessViews();
      const rows = found.map(({ pid, name, kaddr, views, hasEnded }) => ({
        ...{ pid, name, kaddr, ended: hasEnded ? "yes" : "" },
        views: views.join(", "),
      }));
      const hidden = found.filter(({ views }) => !views.includes("list")).length;
      const note = hidden > 0 ? `${hidden} not in the list of processes` : undefined;
      return { kind: "rows", columns: ["pid", "name", "kaddr", "views", "ended"], rows, note };
    },
  }),
];

/** @throws OtherSystemError */
function getWindows(): WindowsGuest {
  const system = getSystem();
  if (system instanceof WindowsGuest) return system;
  throw new OtherSystemError(system.version, "Windows");
}

function listHives(guest: WindowsGuest): CommandResult {
  const rows = guest.getHives().map(({ root, file, kaddr }) => ({ root, file, kaddr }));
  return { kind: "rows", columns: ["root", "file", "kaddr"], rows };
}

function showKey(guest: WindowsGuest, path: string): CommandResult {
  const key = guest.findRegistryKey(path);
  if (!key) throw new CommandError(`there is no key ${path} in memory; registry without a key lists the hives`);
  const rows = [
    ...key.subkeys.map((name) => ({ name, type: "key", size: null, data: "" })),
    ...key.values.map((value) => ({
      ...{ name: value.name === "" ? "(default)" : value.name, type: value.type, size: value.size },
      data: showData(value),
    })),
  ];
  return { kind: "rows", columns: ["name", "type", "size", "data"], rows, note: describeKey(key) };
}

function describeKey({ path, lastWriteTime }: RegistryKey): string {
  return lastWriteTime.getTime() === 0 ? path : `${path}, last written ${lastWriteTime.toISOString()}`;
}

function showData({ data }: RegistryValue): string {
  const text = Buffer.isBuffer(data)
    ? data.subarray(0, LONGEST_DATA).toString("hex")
    : typeof data === "number" || typeof data === "bigint"
      ? `0x${data.toString(16)}`
      : typeof data === "string"
        ? data
        : data.join(" | ");
  return text.length > LONGEST_DATA ? `${text.slice(0, LONGEST_DATA)}...` : text;
}
