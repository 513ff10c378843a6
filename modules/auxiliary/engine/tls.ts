/** Keeps what the target's processes send and receive by TLS, and the secrets of their connections; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import { findProcess } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findTargetScope } from "rebox/trusted";
import { escape } from "../../../scripts/_system_call_arguments";
import { type TlsPiece, writeKeyLine } from "../../../scripts/_tls_listener";
import { TlsWatcher } from "../../../scripts/_tls_watcher";

/** How much of a piece an event tells. */
const SHOWN = 200;
/** A program may call what derives secrets without end. */
const MOST_SECRETS = 100_000;

/** What the module gives. */
export interface TlsOptions {
  /** Absolute paths. */
  readonly pieceFile: string;
  readonly keyFile: string;
  /** How large the file with the pieces may become, in bytes. */
  readonly mostBytes: number;
  /** How many pieces become events. */
  readonly mostEvents: number;
  /** Whether also processes are watched that are none of the target's. */
  readonly isOfAll: boolean;
}

/** An event that is told. */
export interface TlsEvent {
  readonly what: "sent" | "received";
  readonly pid: number;
  readonly process: string;
  readonly size: number;
  readonly descriptor: number | undefined;
  readonly text: string;
}

/** What the module gets at the end. */
export interface TlsResult {
  readonly pieces: number;
  readonly secrets: number;
  /** Pieces that were left out of the file because it had its size. */
  readonly cut: number;
}

export function observe({ options, tell }: GuestObserver): () => TlsResult {
  const { pieceFile, keyFile, mostBytes, mostEvents, isOfAll } = options as unknown as TlsOptions;
  const [pieces, keys] = [openSync(pieceFile, "wx"), openSync(keyFile, "wx")];
  const result = { pieces: 0, secrets: 0, cut: 0 };
  const written = new Set<string>();
  let size = 0;
  const isWanted = (pid: number): boolean => isOfAll || findTargetScope()?.findOrigin(pid) !== undefined;
  const onPiece = ({ pid, tid, pgd, library, direction, connection, descriptor, bytes }: TlsPiece): void => {
    if (!isWanted(pid)) return;
    const process = findProcess(pgd)?.name ?? "";
    if (result.pieces++ < mostEvents) {
      const text = escape(String.fromCharCode(...bytes.subarray(0, SHOWN)));
      tell({ what: direction, pid, process, size: bytes.length, descriptor, text } satisfies TlsEvent);
    }
    const facts = { pid, tid, process, library, direction, connection: `0x${connection.toString(16)}`, descriptor };
    const line = `${JSON.stringify({ ...facts, bytes: Buffer.from(bytes).toString("base64") })}\n`;
    if (size + line.length > mostBytes) result.cut++;
    else size += writeSync(pieces, line);
  };
  // Of every process: a secret may be the other side's, whose process is none of the target's.
  const watcher = new TlsWatcher({
    onPiece,
    onSecret: (secret) => {
      const line = writeKeyLine(secret);
      // Both sides of a connection within the guest derive the same.
      if (written.has(line) || written.size >= MOST_SECRETS) return;
      written.add(line);
      result.secrets++;
      writeSync(keys, line);
    },
  });
  return () => {
    watcher.remove();
    closeSync(pieces);
    closeSync(keys);
    return result;
  };
}
