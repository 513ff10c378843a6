/** Writes the frames that the machine's network cards send and receive into a file; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import { CallbackManager } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findEnds } from "./frame-ends";

// The format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, section 4 and 5.
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LARGEST_FRAME = 262_144;
const LINKTYPE_ETHERNET = 1;
const RECORD_HEAD = 16;

/** In bytes; what is written at once. */
const CHUNK = 1 << 16;
const FLUSH_MS = 200;

/** What the module gives. */
export interface CaptureOptions {
  /** Absolute path. */
  readonly file: string;
  readonly mostBytes: number;
  /** Whose frames are left out, in both directions. */
  readonly without: readonly { readonly ip: string; readonly port: number }[];
}

/** What the module gets at the end. */
export interface CaptureResult {
  readonly frames: number;
  /** Frames that were left out because the file had its size. */
  readonly cut: number;
}

export function observe({ callbacks, options }: GuestObserver): () => CaptureResult {
  const { file, mostBytes, without } = options as unknown as CaptureOptions;
  const descriptor = openSync(file, "wx");
  let waiting: Buffer[] = [createHead()];
  let waitingBytes = 0;
  let size = waiting[0]!.length;
  let frames = 0;
  let cut = 0;
  const flush = (): void => {
    const bytes = Buffer.concat(waiting);
    waiting = [];
    waitingBytes = 0;
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
  };
  const isLeftOut = (frame: Buffer): boolean => {
    const ends = without.length === 0 ? undefined : findEnds(frame);
    const is = (address: string, port: number) => without.some((each) => each.ip === address && each.port === port);
    return ends !== undefined && (is(ends.source, ends.sourcePort) || is(ends.destination, ends.destinationPort));
  };
  const add = (frame: Buffer): void => {
    if (isLeftOut(frame)) return;
    if (size + RECORD_HEAD + frame.length > mostBytes) return void cut++;
    frames++;
    size += RECORD_HEAD + frame.length;
    // The buffer is the engine's own, which uses it again.
    waiting.push(createRecord(frame), Buffer.from(frame));
    waitingBytes += frame.length;
    if (waitingBytes >= CHUNK) flush();
  };
  callbacks.addCallback(CallbackManager.NIC_SEND_CB, (_address, _size, frame) => add(frame));
  callbacks.addCallback(CallbackManager.NIC_REC_CB, (frame) => add(frame));
  flush();
  const timer = setInterval(() => {
    if (waiting.length > 0) flush();
  }, FLUSH_MS);
  return () => {
    clearInterval(timer);
    flush();
    closeSync(descriptor);
    return { frames, cut };
  };
}

function createHead(): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(MAGIC_MICROSECONDS, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(LARGEST_FRAME, 16);
  head.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return head;
}

function createRecord(frame: Buffer): Buffer {
  const nowMs = performance.timeOrigin + performance.now();
  const record = Buffer.alloc(RECORD_HEAD);
  record.writeUInt32LE(Math.floor(nowMs / 1000), 0);
  record.writeUInt32LE(Math.floor((nowMs % 1000) * 1000), 4);
  record.writeUInt32LE(frame.length, 8);
  record.writeUInt32LE(frame.length, 12);
  return record;
}
