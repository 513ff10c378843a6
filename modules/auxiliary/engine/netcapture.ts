/** Writes the frames that the machine's network cards send and receive into a file; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import { CallbackManager } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findEnds } from "./frame-ends";
import { FrameOwners } from "./frame-owners";
import { createHead, createPacket } from "./pcapng";

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
  const owners = new FrameOwners();
  let waiting: Buffer[] = [createHead("the machine's cards")];
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
  const add = (frame: Buffer, isSent: boolean): void => {
    if (isLeftOut(frame)) return;
    if (size >= mostBytes) return void cut++;
    const owner = owners.find(frame, isSent);
    const timeMs = performance.timeOrigin + performance.now();
    const comment = owner === undefined ? undefined : `process ${owner}`;
    // The buffer is the engine's own, which uses it again.
    const packet = createPacket(Buffer.from(frame), { timeMs, isSent, comment });
    const bytes = packet.reduce((sum, { length }) => sum + length, 0);
    if (size + bytes > mostBytes) return void cut++;
    frames++;
    size += bytes;
    waiting.push(...packet);
    waitingBytes += bytes;
    if (waitingBytes >= CHUNK) flush();
  };
  callbacks.addCallback(CallbackManager.NIC_SEND_CB, (_address, _size, frame) => add(frame, true));
  callbacks.addCallback(CallbackManager.NIC_REC_CB, (frame) => add(frame, false));
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
