/**
 * Writes the guest's network frames into a file that Wireshark and tcpdump read (pcap).
 *
 *   custom capture <file>     begins; such as results/net.pcap: pyrebox.conf permits this folder
 *   custom capture_end
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { CallbackManager } from "rebox";
import { readNewFile } from "./_new_file";

// The format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, section 4 and 5.
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LARGEST_FRAME = 262144;
const LINKTYPE_ETHERNET = 1;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let file: string | undefined;
let frames = 0;

export function initialize_callbacks(moduleHandle: number): void {
  callbacks = new CallbackManager(moduleHandle);
}

export const clean = (): void => callbacks.clean();

function createHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(MAGIC_MICROSECONDS, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(LARGEST_FRAME, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}

function write(frame: Buffer): void {
  if (file === undefined) return;
  const nowMs = Date.now();
  const record = Buffer.alloc(16);
  record.writeUInt32LE(Math.floor(nowMs / 1000), 0);
  record.writeUInt32LE((nowMs % 1000) * 1000, 4);
  record.writeUInt32LE(frame.length, 8);
  record.writeUInt32LE(frame.length, 12);
  appendFileSync(file, Buffer.concat([record, frame]));
  frames++;
}

/**
 * Begins to write frames, those that are sent and those that are received.
 *
 * @param line the file; one that exists is written anew
 */
export function do_capture(line: string): string {
  const path = readNewFile(line);
  callbacks.clean();
  writeFileSync(path, createHeader());
  file = path;
  frames = 0;
  callbacks.addCallback(CallbackManager.NIC_SEND_CB, (_addr, _size, buf) => write(buf), { name: "capture_sent" });
  callbacks.addCallback(CallbackManager.NIC_REC_CB, (buf) => write(buf), { name: "capture_received" });
  return `capturing into ${path}`;
}

/** Ends the capture. */
export function do_capture_end(): string {
  callbacks.clean();
  file = undefined;
  return `${frames} frames captured`;
}
