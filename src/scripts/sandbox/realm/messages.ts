import { Buffer } from "buffer/";
import { decodeMessage, encodeMessage } from "../message-codec";
import { createError } from "./errors";
import { callHost } from "./host-access";

type Answer =
  | readonly ["value", unknown]
  | readonly ["error", name: string, message: string, detail: Record<string, unknown>]
  | readonly ["ticket", number];

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  /** Has the stack of the call: the answer comes from outside of the script. */
  readonly asked: Error;
}

const waiting = new Map<number, Waiting>();
const listeners = new Map<number, (event: unknown) => void>();

const toBuffer = (bytes: Uint8Array): Uint8Array =>
  Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);

/** Makes a value of text that came from rebox. */
export function decode(text: string): unknown {
  return decodeMessage(text, toBuffer);
}

/** Opens an answer of rebox: the value, or a promise of it. */
export function openAnswer(text: string): unknown {
  const answer = decode(text) as Answer;
  if (answer[0] === "value") return answer[1];
  if (answer[0] === "error") throw createError(answer[1], answer[2], answer[3]);
  const asked = new Error();
  return new Promise((resolve, reject) => waiting.set(answer[1], { resolve, reject, asked }));
}

/** Asks rebox to carry out an operation, by value. An asynchronous one gives a promise. */
export function ask(operation: string, ...args: readonly unknown[]): unknown {
  return openAnswer(callHost(operation, encodeMessage(args)));
}

/** Ends the wait for an asynchronous operation. */
export function settle(ticket: number, message: string): void {
  const promise = waiting.get(ticket);
  waiting.delete(ticket);
  try {
    promise?.resolve(openAnswer(message));
  } catch (error) {
    promise?.reject(giveStack(error as Error, promise.asked));
  }
}

/** Gives an error the frames of another one. */
function giveStack(error: Error, { stack }: Error): Error {
  const frames = typeof stack === "string" ? stack.split("\n").slice(1) : [];
  const value = [`${error.name}: ${error.message}`, ...frames].join("\n");
  return Object.defineProperty(error, "stack", { value, writable: true, configurable: true });
}

/** Listens to the events of something that rebox has opened for the script. */
export function listen(id: number, listener: (event: unknown) => void): void {
  listeners.set(id, listener);
}

/** Ends that. Returns whether anybody listened. */
export function ignore(id: number): boolean {
  return listeners.delete(id);
}

/** Hands on an event of something that rebox has opened. */
export function emit(id: number, message: string): void {
  listeners.get(id)?.(decode(message));
}
