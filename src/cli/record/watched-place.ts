import { InvalidArgumentError } from "commander";

/** A place that a whole replay is asked about. */
export interface WatchedPlace {
  readonly what: "written" | "read" | "executed";
  /** Guest-physical; otherwise virtual, in any process. */
  readonly isPhysical: boolean;
  readonly address: bigint;
  /** In bytes. */
  readonly size: number;
}

const PLACE = /^(p?)(?:0x)?([0-9a-f]{1,16})(?::(?:0x)?([0-9a-f]{1,4}))?$/i;
const LARGEST_SIZE = 0x1000;

/** Reads "ADDRESS[:SIZE]" of a command line, in hexadecimal as in the shell; "p" in front of it: it is guest-physical. */
export function readWatchedPlace(what: WatchedPlace["what"], text: string): WatchedPlace {
  const [, mark = "", address, size = "1"] = PLACE.exec(text) ?? [];
  const bytes = Number(`0x${size}`);
  if (address === undefined || bytes < 1 || bytes > LARGEST_SIZE) {
    throw new InvalidArgumentError(
      `It must be ADDRESS or ADDRESS:SIZE in hexadecimal, with at most 0x${LARGEST_SIZE.toString(16)} bytes; "p" in front of it makes it guest-physical.`,
    );
  }
  if (mark !== "" && what === "executed") throw new InvalidArgumentError("Code is found by its virtual address.");
  return { what, isPhysical: mark !== "", address: BigInt(`0x${address}`), size: bytes };
}

/** The reverse of readWatchedPlace(). */
export function quotePlace({ isPhysical, address, size }: WatchedPlace): string {
  return `${isPhysical ? "p" : ""}${address.toString(16)}:${size.toString(16)}`;
}
