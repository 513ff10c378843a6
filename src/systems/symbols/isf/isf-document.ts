/** A type as an ISF file refers to it (Volatility 3's schema 6.2.0). */
export type IsfReference =
  | { readonly kind: "base" | "struct" | "union" | "class" | "enum"; readonly name: string }
  | { readonly kind: "pointer"; readonly subtype: IsfReference }
  | { readonly kind: "array"; readonly count: number; readonly subtype: IsfReference }
  | { readonly kind: "function" }
  | {
      readonly kind: "bitfield";
      readonly bit_length: number;
      readonly bit_position: number;
      readonly type: IsfReference;
    };

export interface IsfBaseType {
  readonly size: number;
  readonly signed: boolean;
  readonly kind: "void" | "int" | "float" | "char" | "bool";
  readonly endian: "little" | "big";
}

export interface IsfField {
  readonly offset: number;
  readonly type: IsfReference;
  readonly anonymous?: boolean;
}

export interface IsfUserType {
  readonly kind: "struct" | "union" | "class";
  readonly size: number;
  readonly fields: Readonly<Record<string, IsfField>>;
}

export interface IsfEnum {
  readonly size: number;
  /** The name of a base type. */
  readonly base: string;
  readonly constants: Readonly<Record<string, number | string>>;
}

export interface IsfSymbol {
  /** Above 2 to the 53 only as text: a JSON number would lose its lower bits. */
  readonly address: number | string;
  readonly type?: IsfReference;
  /** The bytes at the address, in base 64: the banner is found by it. */
  readonly constant_data?: string;
}

/** Which PDB file an ISF file for Windows was made of. */
export interface IsfPdb {
  readonly GUID: string;
  readonly age: number;
  /** The file's name. */
  readonly database: string;
  /** PE's number of the processor. */
  readonly machine_type: number;
}

/** The content of an ISF file. */
export interface IsfDocument {
  readonly metadata?: { readonly format?: string; readonly windows?: { readonly pdb?: IsfPdb } };
  readonly base_types: Readonly<Record<string, IsfBaseType>>;
  readonly user_types: Readonly<Record<string, IsfUserType>>;
  readonly enums: Readonly<Record<string, IsfEnum>>;
  readonly symbols: Readonly<Record<string, IsfSymbol>>;
}

/**
 * Parses an ISF file's text. Addresses keep all their digits: they are above what a JSON number can hold exactly.
 *
 * @throws SyntaxError when it is no JSON, or not an ISF file
 */
export function parseIsf(text: string): IsfDocument {
  const quoted = text.replace(/("address"\s*:\s*)(\d{16,20})(?=\s*[,}])/g, '$1"$2"');
  const document = JSON.parse(quoted) as Partial<IsfDocument> | null;
  for (const part of ["base_types", "user_types", "enums", "symbols"] as const) {
    if (typeof document?.[part] !== "object" || document[part] === null) {
      throw new SyntaxError(`it has no "${part}": it is JSON, but not an ISF file`);
    }
  }
  return document as IsfDocument;
}
