import { EventKind } from "../engine/native";
import type { CallbackType } from "./callback-types";

/** The addon's number of each type of callback. */
export const EVENT_KINDS: Record<CallbackType, EventKind> = {
  BLOCK_BEGIN_CB: EventKind.BlockBegin,
  BLOCK_END_CB: EventKind.BlockEnd,
  INSN_BEGIN_CB: EventKind.InsnBegin,
  INSN_END_CB: EventKind.InsnEnd,
  MEM_READ_CB: EventKind.MemRead,
  MEM_WRITE_CB: EventKind.MemWrite,
  KEYSTROKE_CB: EventKind.Keystroke,
  NIC_SEND_CB: EventKind.NicSend,
  NIC_REC_CB: EventKind.NicRec,
  OPCODE_RANGE_CB: EventKind.OpcodeRange,
  TLB_EXEC_CB: EventKind.TlbExec,
  CONTEXTCHANGE_CB: EventKind.ContextChange,
  CREATEPROC_CB: EventKind.CreateProcess,
  REMOVEPROC_CB: EventKind.RemoveProcess,
  LOADMODULE_CB: EventKind.LoadModule,
  REMOVEMODULE_CB: EventKind.RemoveModule,
};
