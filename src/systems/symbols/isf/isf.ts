import { type IsfDocument, type IsfPdb, parseIsf } from "./isf-document";
import { IsfTypes } from "./isf-types";
import type { Profile } from "../profile";
import { ProfileError } from "../../errors";
import { type RawSymbol, SortedSymbols } from "../sorted-symbols";

/** The content of an ISF file: a profile, and for Windows which PDB file it was made of. */
export interface IsfProfile extends Profile {
  readonly windows: IsfPdb | undefined;
}

/**
 * Reads an ISF file, Volatility 3's JSON with the types and symbols of one kernel, as a profile.
 *
 * @param text the file, unpacked
 * @param path for messages
 * @throws ProfileError
 */
export function parseIsfProfile(text: string, path: string): IsfProfile {
  let document: IsfDocument;
  try {
    document = parseIsf(text);
  } catch (error) {
    throw new ProfileError(path, `this is no ISF file: ${(error as Error).message}`);
  }
  return {
    origin: path,
    buildId: undefined,
    banner: findBanner(document),
    types: new IsfTypes(document, path),
    symbols: new SortedSymbols(listSymbols(document)),
    windows: findPdb(document),
  };
}

/** Finds which kernel the file is for: the text of the symbol linux_banner. */
function findBanner({ symbols }: IsfDocument): string | undefined {
  const data = symbols["linux_banner"]?.constant_data;
  return data === undefined
    ? undefined
    : Buffer.from(data, "base64")
        .toString("latin1")
        .replace(/[\n\0]+$/, "");
}

function findPdb({ metadata }: IsfDocument): IsfPdb | undefined {
  const pdb = metadata?.windows?.pdb;
  const isSound = typeof pdb?.GUID === "string" && typeof pdb.database === "string" && Number.isInteger(pdb.age);
  return isSound ? pdb : undefined;
}

function listSymbols({ symbols, metadata }: IsfDocument): RawSymbol[] {
  const isWindows = metadata?.windows !== undefined;
  return Object.entries(symbols).flatMap(([name, { address, type }]) => {
    if (typeof address !== "string" && !Number.isSafeInteger(address)) return [];
    const names = Buffer.from(name, "latin1");
    // The file does not tell code from data: what it knows a type of is data or a function. For Windows it knows no type at all.
    const letter = isWindows ? "?" : type === undefined || type.kind === "function" ? "T" : "D";
    const rank = type === undefined ? 0 : 1;
    const where = BigInt.asUintN(64, BigInt(address));
    return [{ address: where, size: 0n, letter, rank, names, nameStart: 0, nameEnd: names.length }];
  });
}
