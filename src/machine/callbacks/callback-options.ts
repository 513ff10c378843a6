import type { CallbackFilter } from "./callback-filter";
import type { CallbackOptions, CallbackType } from "./callback-types";
import { EVENT_KINDS } from "./event-kinds";
import { isGuestEventType } from "./guest-event-source";

const UNFILTERED: readonly CallbackType[] = ["KEYSTROKE_CB", "NIC_SEND_CB", "NIC_REC_CB"];
const TAKES_ADDRESS: readonly CallbackType[] = ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"];
const TAKES_PGD_ALONE: readonly CallbackType[] = ["LOADMODULE_CB", "REMOVEMODULE_CB"];
const TAKES_REPLAY: readonly CallbackType[] = ["CREATEPROC_CB", "LOADMODULE_CB"];
/** What a filter can ask of an event that no instruction causes. */
const GUEST_EVENT_FILTER: readonly (keyof CallbackFilter)[] = ["pgd", "every", "hits"];

function isOpcode(value: number | undefined): value is number {
  return Number.isInteger(value) && ((value! >= 0 && value! <= 0xff) || (value! >= 0x0f00 && value! <= 0x0fff));
}

function checkPlace(type: CallbackType, { addr, pgd }: CallbackOptions): void {
  for (const [name, value] of Object.entries({ addr, pgd })) {
    if (value !== undefined && typeof value !== "bigint") {
      throw new TypeError(`${name} is a ${typeof value}: addresses are bigint, such as 0xffffffff81000000n`);
    }
  }
  if (TAKES_PGD_ALONE.includes(type)) {
    if (addr !== undefined) throw new TypeError(`${type} takes no addr`);
    return;
  }
  if (!TAKES_ADDRESS.includes(type) && (addr !== undefined || pgd !== undefined)) {
    throw new TypeError(`${type} takes no addr and no pgd`);
  }
  if (addr === undefined && pgd !== undefined) {
    throw new TypeError("pgd narrows an addr down: give both, or monitor the process with startMonitoringProcess()");
  }
}

function checkFilter(type: CallbackType, filter: CallbackFilter): void {
  if (UNFILTERED.includes(type)) {
    throw new TypeError(`${type} takes no filter`);
  }
  const unfit = Object.keys(filter).find((key) => !(GUEST_EVENT_FILTER as readonly string[]).includes(key));
  if (isGuestEventType(type) && unfit !== undefined) {
    throw new TypeError(`${type} takes no filter.${unfit}: it takes ${GUEST_EVENT_FILTER.join(", ")}`);
  }
}

function checkOpcodes(type: CallbackType, { startOpcode, endOpcode }: CallbackOptions): void {
  if (type !== "OPCODE_RANGE_CB") {
    if (startOpcode !== undefined || endOpcode !== undefined) {
      throw new TypeError(`${type} takes no startOpcode and no endOpcode`);
    }
  } else if (!isOpcode(startOpcode) || !isOpcode(endOpcode) || startOpcode > endOpcode) {
    throw new RangeError(
      `startOpcode ${startOpcode} and endOpcode ${endOpcode}: opcodes are 0 to 0xff or 0x0f00 to 0x0fff, in this order`,
    );
  }
}

/**
 * Checks that a type of callback exists and takes these options.
 *
 * @throws TypeError or RangeError that says what it takes
 */
export function checkOptions(type: CallbackType, options: CallbackOptions): void {
  if (!Object.hasOwn(EVENT_KINDS, type)) {
    throw new TypeError(
      `there is no callback type ${String(type)}: it is one of ${Object.keys(EVENT_KINDS).join(", ")}`,
    );
  }
  checkPlace(type, options);
  if (options.filter) checkFilter(type, options.filter);
  checkOpcodes(type, options);
  if (options.replay !== undefined && !TAKES_REPLAY.includes(type)) {
    throw new TypeError(`${type} takes no replay: only ${TAKES_REPLAY.join(" and ")} tell what exists`);
  }
}
