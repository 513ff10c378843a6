/** A type of the guest's programming language, without typedefs and qualifiers: those are followed. */
export type GuestType =
  | VoidType
  | IntegerType
  | FloatType
  | EnumType
  | PointerType
  | ArrayType
  | CompoundType
  | FunctionType
  | IncompleteType;

/** No value: what a pointer without a type points to. */
export interface VoidType {
  readonly kind: "void";
  readonly size: 0;
}

/** An integer, a boolean or a character. */
export interface IntegerType {
  readonly kind: "integer";
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly isSigned: boolean;
  /** "char" is text when it is in an array. */
  readonly meaning: "number" | "bool" | "char";
}

/** A floating-point number. */
export interface FloatType {
  readonly kind: "float";
  readonly name: string;
  readonly size: number;
}

/** An enumeration, with its names and values. */
export interface EnumType {
  readonly kind: "enum";
  /** Empty when it has none. */
  readonly name: string;
  readonly size: number;
  readonly isSigned: boolean;
  readonly values: ReadonlyMap<string, bigint>;
}

/** An address of another type. */
export interface PointerType {
  readonly kind: "pointer";
  readonly size: number;
  /** Made when it is asked for: types refer to each other in circles. */
  readonly target: GuestType;
}

/** Several elements of one type, one behind the other. */
export interface ArrayType {
  readonly kind: "array";
  /** In bytes, of all elements. */
  readonly size: number;
  /** 0 for a flexible array. */
  readonly count: number;
  readonly element: GuestType;
}

/** A struct or a union, with its members. */
export interface CompoundType {
  readonly kind: "struct" | "union";
  /** Empty when it has none. */
  readonly name: string;
  readonly size: number;
  readonly members: readonly Member[];
}

/** A function: what a pointer to code points to. */
export interface FunctionType {
  readonly kind: "function";
  readonly size: 0;
}

/** Declared, but not defined in this source. */
export interface IncompleteType {
  readonly kind: "incomplete";
  readonly name: string;
  readonly size: 0;
}

/** A member of a struct or union. */
export interface Member {
  /** Empty for an anonymous struct or union, whose members belong to the outer one. */
  readonly name: string;
  readonly type: GuestType;
  /** From the start of the struct. */
  readonly bitOffset: number;
  /** Of a bit-field; 0 for a whole member. */
  readonly bitSize: number;
}
