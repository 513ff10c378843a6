/** Keeps what processes do to others; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { GuestObserver } from "rebox/lab";
import { ArtefactStore, findTargetScope } from "rebox/trusted";
import { type Injection, InjectionWatcher } from "../../../scripts/_injection_watcher";
import { escape, hex } from "../../../scripts/_system_call_arguments";
import { whenSystemIsKnown } from "../../../scripts/_when_system";

const MOST_FILES = 10_000;
const SHOWN = 48;

/** What the module gives. */
export interface InjectionOptions {
  /** Absolute paths. */
  readonly file: string;
  readonly folder: string;
  /** Whether also acts are recorded that are none of the target's. */
  readonly isOfAll: boolean;
  readonly mostBytes: number;
  readonly mostEvents: number;
}

/** An event that is told, and with more facts a line of the file. */
export interface InjectionEvent {
  readonly kind: Injection["kind"];
  readonly way: Injection["way"];
  readonly pid: number;
  readonly process: string;
  readonly target: number;
  readonly targetName: string;
  readonly address: string | undefined;
  readonly size: number;
  readonly text: string;
  /** Of the content that is kept. */
  readonly sha256: string | undefined;
}

/** What the module gets at the end. */
export interface InjectionResult {
  readonly acts: number;
  /** Contents that are not kept. */
  readonly left: number;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => InjectionResult {
  const { file, folder, isOfAll, mostBytes, mostEvents } = options as unknown as InjectionOptions;
  const store = new ArtefactStore(folder, { mostFileBytes: mostBytes, mostFiles: MOST_FILES, mostBytes });
  const descriptor = openSync(file, "wx");
  const result = { acts: 0, left: 0 };
  const isOwn = (pid: number): boolean => isOfAll || findTargetScope()?.findOrigin(pid) !== undefined;
  const note = ({ by, target, address, bytes, size, stack, ...facts }: Injection): void => {
    if (!isOwn(by.pid) && !isOwn(target.pid)) return;
    if (result.acts++ >= mostEvents) return;
    const kept = bytes.length === 0 ? undefined : store.keep(bytes);
    if (kept !== undefined && "left" in kept) result.left++;
    const event: InjectionEvent = {
      ...{
        kind: facts.kind,
        way: facts.way,
        pid: by.pid,
        process: by.name,
        target: target.pid,
        targetName: target.name,
      },
      ...{ address: address === undefined ? undefined : hex(address), size },
      text: escape(String.fromCharCode(...bytes.subarray(0, SHOWN))),
      sha256: kept !== undefined && "sha256" in kept ? kept.sha256 : undefined,
    };
    const more = { stack: stack === undefined ? undefined : hex(stack), path: facts.path, rights: facts.rights };
    writeSync(descriptor, `${JSON.stringify({ ...event, ...more })}\n`);
    tell(event);
  };
  let watcher: InjectionWatcher | undefined;
  whenSystemIsKnown(callbacks, () => (watcher = new InjectionWatcher(note)));
  return () => {
    watcher?.remove();
    closeSync(descriptor);
    return result;
  };
}
