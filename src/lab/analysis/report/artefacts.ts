import { join } from "node:path";
import { findJson, listOf } from "./module-results";

/** A moment at which a file of the target was looked at. */
export interface ArtefactMoment {
  /** ISO 8601. */
  readonly time: string;
  /** "closed", "executed", "removed", "replaced" or "end". */
  readonly moment: string;
  readonly pid: number;
  readonly process: string;
}

/** A file that the target wrote, with one of its contents. */
export interface Artefact {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Of the content, which is a file of that name in the folder artefacts; undefined when it was left out. */
  readonly sha256: string | undefined;
  /** Why the content was left out. */
  readonly left: string | undefined;
  /** Bytes that could not be read and are zeros in the content. */
  readonly missing: number | undefined;
  /** The type of the content, as libmagic says it. */
  readonly mime: string | undefined;
  readonly description: string | undefined;
  readonly moments: ArtefactMoment[];
}

/** Reads the index of what the module artefacts has kept; the guest's words in it are hostile, and damaged records are left out. */
export function readArtefacts(folder: string): Artefact[] {
  const index = findJson(join(folder, "artefacts.json"));
  const types = ((index as { readonly types?: unknown } | undefined)?.types ?? {}) as Record<string, unknown>;
  const found = new Map<string, Artefact>();
  for (const record of listOf(index, "files")) {
    const { time, moment, path, pid, process, size } = record;
    if (typeof time !== "string" || typeof moment !== "string" || typeof path !== "string") continue;
    if (typeof pid !== "number" || typeof process !== "string" || typeof size !== "number") continue;
    const [sha256, left] = [findText(record.sha256), findText(record.left)];
    const key = JSON.stringify([path, sha256, left]);
    const type = (sha256 !== undefined && Object.hasOwn(types, sha256) ? types[sha256] : {}) as Record<string, unknown>;
    const artefact = found.get(key) ?? {
      ...{ path, size, sha256, left, moments: [] },
      missing: typeof record.missing === "number" ? record.missing : undefined,
      ...{ mime: findText(type.mime), description: findText(type.description) },
    };
    found.set(key, artefact);
    artefact.moments.push({ time, moment, pid, process });
  }
  return [...found.values()];
}

/** The memory of a process of the target at its end. */
export interface CoreArtefact {
  /** ISO 8601. */
  readonly time: string;
  readonly pid: number;
  readonly process: string;
  /** Its file in the folder cores; undefined when it was left out. */
  readonly core: string | undefined;
  readonly threads: number | undefined;
  /** Bytes of memory. */
  readonly size: number | undefined;
  /** Why it was left out. */
  readonly left: string | undefined;
}

/** Reads which processes the module artefacts has kept the memory of; damaged records are left out. */
export function readCores(folder: string): CoreArtefact[] {
  return listOf(findJson(join(folder, "artefacts.json")), "cores").flatMap((record) => {
    const { time, pid, process, threads, size } = record;
    if (typeof time !== "string" || typeof pid !== "number" || typeof process !== "string") return [];
    const name = findText(record.core);
    return [
      {
        ...{ time, pid, process, left: findText(record.left) },
        core: name !== undefined && /^\d{4,}-\d+\.core$/.test(name) ? name : undefined,
        threads: typeof threads === "number" ? threads : undefined,
        size: typeof size === "number" ? size : undefined,
      },
    ];
  });
}

/** Code that the target executed after it was written at run time. */
export interface CodeArtefact {
  /** ISO 8601. */
  readonly time: string;
  readonly pid: number;
  readonly process: string;
  /** 1 for code that the program's own files have written, 2 for code that such code has written, and so on; at least. */
  readonly layer: number;
  /** The entry point as it was guessed, the first address that was executed, and where the code lay; in hexadecimal. */
  readonly entry: string;
  readonly first: string;
  readonly start: string;
  readonly end: string;
  /** The file that the memory was mapped from; empty without one. */
  readonly path: string;
  /** Bytes. */
  readonly size: number | undefined;
  /** The bytes of the code, and the process at that moment: files in the folder code. Undefined when it was left out. */
  readonly raw: string | undefined;
  readonly core: string | undefined;
  /** Why something was left out. */
  readonly left: string | undefined;
}

/** Reads which code that was written at run time the module artefacts has kept; damaged records are left out. */
export function readCode(folder: string): CodeArtefact[] {
  return listOf(findJson(join(folder, "artefacts.json")), "code").flatMap((record) => {
    const { time, pid, process, layer, size } = record;
    if (typeof time !== "string" || typeof pid !== "number") return [];
    if (typeof process !== "string" || typeof layer !== "number") return [];
    const findFile = (name: unknown, form: RegExp) => (typeof name === "string" && form.test(name) ? name : undefined);
    const address = (value: unknown) => findFile(value, /^0x[0-9a-f]{1,16}$/) ?? "?";
    return [
      {
        ...{ time, pid, process, layer, path: findText(record.path) ?? "", left: findText(record.left) },
        ...{
          entry: address(record.entry),
          first: address(record.first),
          start: address(record.start),
          end: address(record.end),
        },
        size: typeof size === "number" ? size : undefined,
        raw: findFile(record.raw, /^\d{4,}-\d+-layer\d+-0x[0-9a-f]+\.bin$/),
        core: findFile(record.core, /^\d{4,}-\d+-layer\d+\.core$/),
      },
    ];
  });
}

function findText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
