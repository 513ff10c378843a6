import type { SeenAct } from "../signature";
import { SigmaEvent } from "./event";
import { isOnWindows, listWindowsEvents } from "./windows-events";

type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

/** The category of each act of files, as the taxonomy names it. */
const FILES: Readonly<Record<string, string>> = {
  "file.written": "file_event",
  "file.made": "file_event",
  "file.linked": "file_event",
  "file.removed": "file_delete",
  "file.times": "file_change",
  "file.mode": "file_change",
  "file.owner": "file_change",
  "file.attribute": "file_change",
};

/**
 * Makes of an act the events that Sigma's rules are asked about: by the taxonomy's names, and under the act's own name with its own
 * facts (product "rebox").
 */
export function* listSigmaEvents(act: SeenAct): Generator<SigmaEvent> {
  const { type, time: _time, sequence: _sequence, doer: _doer, ...facts } = act;
  const who = describeDoer(act);
  const own = Object.entries(facts).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  yield new SigmaEvent(`rebox/${type}`, { ...(Object.fromEntries(own) as Fields), ...who });
  if (isOnWindows(act)) {
    yield* listWindowsEvents(act, who);
    return;
  }
  if (type === "process.executed") yield new SigmaEvent("process_creation", { ...who, ...describeHash(act) });
  const category = FILES[type];
  if (category !== undefined)
    yield new SigmaEvent(category, { ...who, TargetFilename: textOf(facts, type === "file.linked" ? "to" : "path") });
  if (type === "file.renamed") {
    const names = { TargetFilename: textOf(facts, "to"), SourceFilename: textOf(facts, "path") };
    yield new SigmaEvent("file_rename", { ...who, ...names });
    yield new SigmaEvent("file_event", { ...who, TargetFilename: names.TargetFilename });
  }
  if (/^network\.(connected|failed|accepted)$/.test(type))
    yield new SigmaEvent("network_connection", { ...who, ...describeEnds(act) });
}

function describeDoer({ doer, pid }: SeenAct): Fields {
  return {
    ...{ ProcessId: typeof pid === "number" ? pid : undefined },
    ...{ Image: doer?.executable, CommandLine: doer?.commandLine },
    ...{
      ParentProcessId: doer?.parent?.pid,
      ParentImage: doer?.parent?.executable,
      ParentCommandLine: doer?.parent?.commandLine,
    },
  };
}

/** As Sysmon writes it: rules ask whether it contains "SHA256=...". */
function describeHash({ sha256 }: SeenAct): Fields {
  return typeof sha256 === "string" ? { Hashes: `SHA256=${sha256.toUpperCase()}`, sha256 } : {};
}

function describeEnds({ type, protocol, address, port }: SeenAct): Fields {
  const [ip, number] = [String(address), Number(port)];
  const isOurs = type !== "network.accepted";
  const end = isOurs ? { DestinationIp: ip, DestinationPort: number } : { SourceIp: ip, SourcePort: number };
  return { ...end, Protocol: String(protocol), Initiated: isOurs };
}

function textOf(facts: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = facts[name];
  return typeof value === "string" ? value : undefined;
}
