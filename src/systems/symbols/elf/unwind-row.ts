import { ElfError } from "../../errors";
import { DwarfReader } from "./dwarf-reader";
import type { UnwindEntry } from "./unwind-table";

const MOST_REMEMBERED = 64;

/** The place of a register's value in the caller: DWARF 5, 6.4.1. Offsets are from the frame's address. */
export type RegisterRule =
  | { readonly kind: "undefined" | "same" }
  | { readonly kind: "saved at" | "offset"; readonly offset: bigint }
  | { readonly kind: "register"; readonly register: number }
  | { readonly kind: "saved by expression" | "expression"; readonly expression: Uint8Array };

/** How the frame of a function is found at one instruction. */
export interface UnwindRow {
  /** The frame's address: a register and an offset, or an expression. */
  readonly frame: { readonly register: number; readonly offset: bigint } | { readonly expression: Uint8Array };
  /** By the register's number in DWARF; those that are not there have what they have now. */
  readonly rules: ReadonlyMap<number, RegisterRule>;
}

interface State {
  frame: UnwindRow["frame"] | undefined;
  rules: Map<number, RegisterRule>;
}

/**
 * Finds the row of an instruction: executes the entry's program up to it (DWARF 5, 6.4.2 and 6.4.3).
 *
 * @param address of the instruction, by the file's own addresses
 * @throws ElfError when the program is damaged, or has an instruction that is not known
 */
export function findUnwindRow({ common, program, start }: UnwindEntry, address: bigint, bits: 32 | 64): UnwindRow {
  const state: State = { frame: undefined, rules: new Map() };
  execute(new DwarfReader(common.program, 0n, bits), state, undefined);
  const initial = new Map(state.rules);
  execute(new DwarfReader(program, 0n, bits), state, { initial, at: start, until: address });
  if (state.frame === undefined) throw new ElfError("its unwind data does not say where a frame is");
  return { frame: state.frame, rules: state.rules };

  function execute(
    reader: DwarfReader,
    to: State,
    moving: { readonly initial: ReadonlyMap<number, RegisterRule>; at: bigint; readonly until: bigint } | undefined,
  ): void {
    const remembered: State[] = [];
    const { codeAlignment, dataAlignment, addressEncoding } = common;
    const set = (register: bigint | number, rule: RegisterRule) => void to.rules.set(Number(register), rule);
    const restore = (register: bigint | number) => {
      const rule = moving?.initial.get(Number(register));
      if (rule === undefined) to.rules.delete(Number(register));
      else to.rules.set(Number(register), rule);
    };
    const setFrame = (register: number, offset: bigint) => void (to.frame = { register, offset });
    const frameOf = (): { readonly register: number; readonly offset: bigint } => {
      if (to.frame === undefined || "expression" in to.frame) throw new ElfError("its unwind data changes what is not set"); // prettier-ignore
      return to.frame;
    };
    /** @returns whether the instruction that is asked for lies before that */
    const moveTo = (place: bigint): boolean => {
      if (moving === undefined) return false;
      if (place > moving.until) return true;
      moving.at = place;
      return false;
    };
    while (!reader.isAtEnd) {
      const code = reader.byte();
      const low = code & 0x3f;
      if (code >= 0xc0) restore(low);
      else if (code >= 0x80) set(low, { kind: "saved at", offset: reader.uleb() * dataAlignment });
      else if (code >= 0x40) {
        if (moveTo((moving?.at ?? 0n) + BigInt(low) * codeAlignment)) return;
      } else {
        switch (code) {
          case 0x00: // nop
            break;
          case 0x01: // set_loc
            if (moveTo(reader.pointer(addressEncoding & 0x0f) ?? 0n)) return;
            break;
          case 0x02: // advance_loc1, 2 and 4
          case 0x03:
          case 0x04:
            if (moveTo((moving?.at ?? 0n) + reader.unsigned(1 << (code - 2)) * codeAlignment)) return;
            break;
          case 0x05: // offset_extended
            set(reader.uleb(), { kind: "saved at", offset: reader.uleb() * dataAlignment });
            break;
          case 0x06: // restore_extended
            restore(reader.uleb());
            break;
          case 0x07: // undefined
            set(reader.uleb(), { kind: "undefined" });
            break;
          case 0x08: // same_value
            set(reader.uleb(), { kind: "same" });
            break;
          case 0x09: // register
            set(reader.uleb(), { kind: "register", register: Number(reader.uleb()) });
            break;
          case 0x0a: // remember_state
            if (remembered.length >= MOST_REMEMBERED) throw new ElfError("its unwind data remembers without end");
            remembered.push({ frame: to.frame, rules: new Map(to.rules) });
            break;
          case 0x0b: {
            // restore_state
            const before = remembered.pop();
            if (before === undefined) throw new ElfError("its unwind data restores what it has not remembered");
            Object.assign(to, before);
            break;
          }
          case 0x0c: // def_cfa
            setFrame(Number(reader.uleb()), reader.uleb());
            break;
          case 0x0d: // def_cfa_register
            setFrame(Number(reader.uleb()), frameOf().offset);
            break;
          case 0x0e: // def_cfa_offset
            setFrame(frameOf().register, reader.uleb());
            break;
          case 0x0f: // def_cfa_expression
            to.frame = { expression: reader.block(reader.count()) };
            break;
          case 0x10: // expression
            set(reader.uleb(), { kind: "saved by expression", expression: reader.block(reader.count()) });
            break;
          case 0x11: // offset_extended_sf
            set(reader.uleb(), { kind: "saved at", offset: reader.sleb() * dataAlignment });
            break;
          case 0x12: // def_cfa_sf
            setFrame(Number(reader.uleb()), reader.sleb() * dataAlignment);
            break;
          case 0x13: // def_cfa_offset_sf
            setFrame(frameOf().register, reader.sleb() * dataAlignment);
            break;
          case 0x14: // val_offset
            set(reader.uleb(), { kind: "offset", offset: reader.uleb() * dataAlignment });
            break;
          case 0x15: // val_offset_sf
            set(reader.uleb(), { kind: "offset", offset: reader.sleb() * dataAlignment });
            break;
          case 0x16: // val_expression
            set(reader.uleb(), { kind: "expression", expression: reader.block(reader.count()) });
            break;
          case 0x2e: // GNU_args_size
            reader.uleb();
            break;
          case 0x2f: // GNU_negative_offset_extended
            set(reader.uleb(), { kind: "saved at", offset: -reader.uleb() * dataAlignment });
            break;
          default:
            throw new ElfError(`its unwind data has the unknown instruction 0x${code.toString(16)}`);
        }
      }
    }
  }
}
