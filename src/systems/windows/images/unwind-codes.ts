/** A step of a function's prolog, as UNWIND_CODE describes it (x64 exception handling). */
export interface UnwindCode {
  /** The end of the step's instruction, from the function's start, in bytes. */
  readonly codeOffset: number;
  readonly step:
    | "push register"
    | "allocate"
    | "set frame register"
    | "save register"
    | "save xmm register"
    | "epilog"
    | "machine frame"
    | "unknown";
  /** The register, as the processor numbers it; of a machine frame, 1 when it has an error code. */
  readonly register: number;
  /** Of an allocation, its size; of a saved register, its offset in the frame; in bytes. */
  readonly bytes: number;
}

const PUSH = 0;
const ALLOCATE_LARGE = 1;
const ALLOCATE_SMALL = 2;
const SET_FRAME = 3;
const SAVE = 4;
const SAVE_FAR = 5;
const EPILOG = 6;
const SAVE_XMM = 8;
const SAVE_XMM_FAR = 9;
const MACHINE_FRAME = 10;

/**
 * Reads unwind codes. A code that needs more words than there are ends the list.
 *
 * @param view of words of 2 bytes each
 * @param count the number of words
 */
export function readUnwindCodes(view: DataView, count: number): UnwindCode[] {
  const codes: UnwindCode[] = [];
  const word = (at: number): number => view.getUint16(at * 2, true);
  for (let at = 0; at < count;) {
    const codeOffset = view.getUint8(at * 2);
    const second = view.getUint8(at * 2 + 1);
    const [operation, information] = [second & 0xf, second >> 4];
    const words = countWords(operation, information);
    if (at + words > count) break;
    const short = words > 1 ? word(at + 1) : 0;
    const long = words > 2 ? short + word(at + 2) * 65536 : short;
    codes.push({ codeOffset, ...describe(operation, information, short, long) });
    at += words;
  }
  return codes;
}

function countWords(operation: number, information: number): number {
  if (operation === ALLOCATE_LARGE) return information === 0 ? 2 : 3;
  if (operation === SAVE || operation === SAVE_XMM) return 2;
  return operation === SAVE_FAR || operation === SAVE_XMM_FAR ? 3 : 1;
}

function describe(operation: number, register: number, short: number, long: number): Omit<UnwindCode, "codeOffset"> {
  switch (operation) {
    case PUSH:
      return { step: "push register", register, bytes: 8 };
    case ALLOCATE_LARGE:
      return { step: "allocate", register: 0, bytes: register === 0 ? short * 8 : long };
    case ALLOCATE_SMALL:
      return { step: "allocate", register: 0, bytes: register * 8 + 8 };
    case SET_FRAME:
      return { step: "set frame register", register, bytes: 0 };
    case SAVE:
      return { step: "save register", register, bytes: short * 8 };
    case SAVE_FAR:
      return { step: "save register", register, bytes: long };
    case SAVE_XMM:
      return { step: "save xmm register", register, bytes: short * 16 };
    case SAVE_XMM_FAR:
      return { step: "save xmm register", register, bytes: long };
    case EPILOG:
      return { step: "epilog", register, bytes: 0 };
    case MACHINE_FRAME:
      return { step: "machine frame", register, bytes: 0 };
    default:
      return { step: "unknown", register, bytes: 0 };
  }
}
