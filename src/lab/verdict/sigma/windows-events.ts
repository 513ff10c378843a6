import type { SeenAct } from "../signature";
import { SigmaEvent } from "./event";

type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

/** The category of each act of files, as the taxonomy names it. */
const FILES: Readonly<Record<string, string>> = {
  "file.made": "file_event",
  "file.written": "file_event",
  "file.linked": "file_event",
  "file.renamed": "file_event",
  "file.removed": "file_delete",
};
/** The categories of each act of the registry, and Sysmon's name of the event (12, 13). */
const REGISTRY: Readonly<Record<string, readonly [category: string, eventType: string]>> = {
  "registry.made": ["registry_add", "CreateKey"],
  "registry.set": ["registry_set", "SetValue"],
  "registry.removed": ["registry_delete", "DeleteKey"],
};

/** Tells whether an act was seen in a Windows guest: paths there have backslashes. */
export function isOnWindows({ doer, path, key }: SeenAct): boolean {
  return [doer?.executable, path, key].some((text) => typeof text === "string" && /^([A-Za-z]:)?\\/.test(text));
}

/**
 * Makes of an act of a Windows guest the events that Sigma's rules are asked about, with Sysmon's names.
 *
 * @param who the fields that tell of the process behind it
 */
export function* listWindowsEvents(act: SeenAct, who: Fields): Generator<SigmaEvent> {
  const { type, path, to, address, port } = act;
  const make = (category: string, fields: Fields): SigmaEvent =>
    new SigmaEvent(`windows/${category}`, { ...who, ...fields });
  if (type === "process.executed") yield make("process_creation", {});
  const category = FILES[type];
  const isMoved = type === "file.renamed" || type === "file.linked";
  if (category !== undefined) yield make(category, { TargetFilename: toFileName(isMoved ? to : path) });
  if (type === "file.renamed")
    yield make("file_rename", { SourceFilename: toFileName(path), TargetFilename: toFileName(to) });
  if (type === "network.connected")
    yield make("network_connection", {
      DestinationIp: String(address),
      DestinationPort: Number(port),
      Initiated: true,
    });
  const [own, eventType] = REGISTRY[type] ?? [];
  if (own === undefined) return;
  const fields = describeValue(act, eventType!);
  yield make(own, fields);
  yield make("registry_event", fields);
}

/** As "C:\Users\...": what the kernel's names have before a drive is left out. */
function toFileName(path: unknown): string | undefined {
  return typeof path === "string" ? path.replace(/^(\\\?\?|\\\\\?|\\GLOBAL\?\?)\\(?=[A-Za-z]:)/i, "") : undefined;
}

function describeValue({ key, name, data, ...act }: SeenAct, eventType: string): Fields {
  const target = String(key)
    .replace(/^\\REGISTRY\\MACHINE/i, "HKLM")
    .replace(/^\\REGISTRY\\USER/i, "HKU")
    .replace(/^HKLM\\SYSTEM\\ControlSet\d+\\/i, "HKLM\\System\\CurrentControlSet\\");
  if (typeof name !== "string") return { TargetObject: target, EventType: eventType };
  const value = { TargetObject: `${target}\\${name === "" ? "(Default)" : name}` };
  if (eventType === "DeleteKey") return { ...value, EventType: "DeleteValue" };
  return { ...value, EventType: eventType, Details: describeData(String(act["valueType"] ?? ""), data) };
}

/** As Sysmon writes it: numbers in hexadecimal digits, and of bytes only that they are there. */
function describeData(type: string, data: unknown): string | undefined {
  if (typeof data === "number") return `DWORD (0x${data.toString(16).padStart(8, "0")})`;
  if (data === undefined) return undefined;
  return /^REG_(SZ|EXPAND_SZ|MULTI_SZ|LINK)$/.test(type) ? String(data) : "Binary Data";
}
