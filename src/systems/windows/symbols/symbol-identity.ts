import { SymbolsError } from "../../errors";

/** Which PDB file belongs to an image: its name and the GUID and age of the image's debug record. */
export interface SymbolIdentity {
  /** The file's name, without the folder in which it was made. */
  readonly name: string;
  /** As 32 hexadecimal digits, capital. */
  readonly guid: string;
  /** The age by which a symbol server is asked; the PDB file's own may be higher. */
  readonly age: number;
}

/** Names come from the memory of guests, and become those of files. */
const NAME = /^[\w+ -][\w+ .-]{0,127}$/;
const TEXT =
  /^([^/]+)\/\{?([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})\}?(?:-(\d+)|([0-9a-f]{1,8}))$/i;

/** Writes the GUID and age as symbol servers name folders: the GUID's digits and the age in hexadecimal. */
export function symbolKey({ guid, age }: SymbolIdentity): string {
  return `${guid}${age.toString(16).toUpperCase()}`;
}

/** Writes an identity as it is read by parseIdentity(): "ntkrnlmp.pdb/606FF669409B00F7FC8C61A9C16701291". */
export function formatIdentity(identity: SymbolIdentity): string {
  return `${identity.name}/${symbolKey(identity)}`;
}

/** Parses an identity: a name, and a GUID with its age behind it, in hexadecimal; or in decimal behind a dash. */
export function parseIdentity(text: string): SymbolIdentity | undefined {
  const [, name, guid, decimal, hexadecimal] = TEXT.exec(text) ?? [];
  if (name === undefined || guid === undefined) return undefined;
  const age = decimal === undefined ? Number.parseInt(hexadecimal ?? "", 16) : Number(decimal);
  return { name, guid: guid.replaceAll("-", "").toUpperCase(), age };
}

/** Checks that an identity can be the path of a file. @throws SymbolsError */
export function checkIdentity(identity: SymbolIdentity): void {
  if (NAME.test(identity.name) && /^[0-9A-F]{32}$/.test(identity.guid)) return;
  throw new SymbolsError(
    `${JSON.stringify(identity.name)} is no name of a PDB file: the image's record is damaged or forged`,
  );
}
