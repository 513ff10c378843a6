/**
 * Shows what programs send and receive by TLS, before it is encrypted and after it is decrypted, and keeps the connections' secrets:
 *
 *   custom tls_plain [process=PROCESS ...]   prints each piece; all processes when none is named
 *   custom tls_plain_to <file>               writes the whole pieces into a file as lines of JSON, such as results/tls.jsonl
 *   custom tls_keys_to <file>                writes a key log, with which Wireshark and tshark open a capture of the same connections
 *   custom tls_plain_end                     ends all of them
 *
 * Of programs that use OpenSSL, GnuTLS or NSS as a library, and of programs of Go. docs/guides/tls.md has the versions.
 * Not: OpenSSL that is part of the program itself.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { CallbackManager, findProcess } from "rebox";
import { readNewFile } from "./_new_file";
import { splitWords } from "./_numbers";
import { escape } from "./_system_call_arguments";
import { type TlsPiece, type TlsSecret, writeKeyLine } from "./_tls_listener";
import { TlsWatcher } from "./_tls_watcher";
import { readWantedProcesses } from "./_wanted_processes";

/** How many bytes of a piece are printed. */
const SHOWN = 160;
/** Programs decide how much there is: what is more is left out of the files, and said once. */
const MOST_SECRETS = 100_000;
const MOST_FILE_BYTES = 2 ** 30;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let print: (text: string) => void;
let watcher: TlsWatcher | undefined;
let isPrinted = false;
let isWanted: ReturnType<typeof readWantedProcesses> = () => true;
let pieceFile: string | undefined;
let keyFile: string | undefined;
let pieceBytes = 0;
const secrets = new Set<string>();
const full = new Set<string>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export function clean(): void {
  do_tls_plain_end();
  callbacks.clean();
}

/**
 * Prints what is sent and received from now on.
 *
 * @param line which processes: process=PID, process=PGD or process=NAME, with * and ? in names; all without one
 */
export function do_tls_plain(line: string): string {
  isWanted = readWantedProcesses(splitWords(line));
  isPrinted = true;
  return watch("what programs send and receive by TLS is printed");
}

/**
 * Writes what is sent and received into a file, from now on.
 *
 * @param line the file; one that exists is written anew
 */
export function do_tls_plain_to(line: string): string {
  pieceFile = readNewFile(line);
  writeFileSync(pieceFile, "");
  pieceBytes = 0;
  full.delete(pieceFile);
  return watch(`what programs send and receive by TLS goes into ${pieceFile}`);
}

/**
 * Writes the secrets of connections that begin from now on into a key log.
 *
 * @param line the file; one that exists is written anew
 */
export function do_tls_keys_to(line: string): string {
  keyFile = readNewFile(line);
  writeFileSync(keyFile, "");
  secrets.clear();
  full.delete(keyFile);
  return watch(`the secrets of TLS connections go into ${keyFile}`);
}

/** Prints and writes no more. */
export function do_tls_plain_end(): string {
  watcher?.remove();
  watcher = pieceFile = keyFile = undefined;
  isPrinted = false;
  isWanted = () => true;
  return "watching no more";
}

function watch(text: string): string {
  watcher ??= new TlsWatcher({ onPiece, onSecret });
  return text;
}

function onPiece(piece: TlsPiece): void {
  const { pid, tid, pgd, library, direction, connection, descriptor, bytes } = piece;
  if (!isWanted({ pid, pgd })) return;
  const name = findProcess(pgd)?.name ?? "";
  if (isPrinted) {
    const where = descriptor === undefined ? `connection 0x${connection.toString(16)}` : `descriptor ${descriptor}`;
    const text = escape(String.fromCharCode(...bytes.subarray(0, SHOWN)));
    const rest = bytes.length > SHOWN ? "..." : "";
    print(`${pid} ${escape(name)} ${direction} ${bytes.length} bytes, ${where}: "${text}"${rest}`);
  }
  if (pieceFile === undefined) return;
  const facts = { pid, tid, process: name, library, direction, connection: `0x${connection.toString(16)}`, descriptor };
  const line = `${JSON.stringify({ ...facts, bytes: Buffer.from(bytes).toString("base64") })}\n`;
  if (pieceBytes + line.length > MOST_FILE_BYTES) {
    sayFull(pieceFile, `${MOST_FILE_BYTES} bytes`);
    return;
  }
  pieceBytes += line.length;
  appendFileSync(pieceFile, line);
}

function onSecret(secret: TlsSecret): void {
  if (keyFile === undefined) return;
  const line = writeKeyLine(secret);
  if (secrets.has(line)) return;
  if (secrets.size >= MOST_SECRETS) {
    sayFull(keyFile, `${MOST_SECRETS} secrets`);
    return;
  }
  secrets.add(line);
  appendFileSync(keyFile, line);
}

function sayFull(file: string, most: string): void {
  if (full.has(file)) return;
  full.add(file);
  print(`${file} has ${most} and gets no more: name another file to go on`);
}
