import { RecordingError } from "../errors";
import { type MachineOption, readParts, writeParts } from "./machine-options";

/** Backends whose frames are plain: another one of them in their place is the same to the guest. A tap device without headers is one, too. */
const KNOWN_BACKENDS = ["user", "socket", "stream", "dgram", "hubport"];
/** Parts of -nic about the card. */
const OF_CARD = ["model", "mac", "macaddr"];

/** Whether an option says which networks the machine has. */
export function isNetwork({ name }: MachineOption): boolean {
  return ["-nic", "-netdev", "-net"].includes(name);
}

/** The network that QEMU gives a machine when no option says anything about networks. */
export const DEFAULT_NETWORK: MachineOption = { name: "-nic", value: "user" };

/**
 * Plans a network: its frames pass a filter of QEMU's recorder. In a replay the frames come from the log, so nothing outside is
 * connected to: no port of the host is opened.
 *
 * @param number of the network, from 0
 * @returns QEMU's arguments
 * @throws RecordingError for a network that cannot be recorded
 */
export function planNetwork({ name, value = "" }: MachineOption, number: number, isReplay: boolean): string[] {
  if (value === "none" || name === "-net") return [name, value];
  const refuse = (reason: string): never => {
    throw new RecordingError(`${name} ${value} cannot be recorded: ${reason}`);
  };
  if (value.startsWith("{")) refuse("write it as words, not as JSON");
  const parts = readParts(value);
  const type = parts.find(([key]) => key === "" || key === "type")?.[1] ?? "user";
  const isPlainTap = type === "tap" && parts.some(([key, text]) => key === "vnet_hdr" && text === "off");
  if (!KNOWN_BACKENDS.includes(type) && !isPlainTap) {
    const advice = type === "tap" ? "add vnet_hdr=off" : "use user";
    refuse(`the guest sees what the host's side of ${type} can do, and a replay has none; ${advice}`);
  }
  const given = parts.find(([key]) => key === "id")?.[1];
  if (name === "-netdev" && given === undefined) refuse("it has no id");
  const id = given ?? `rebox-net-${number}`;
  const card = parts.filter(([key]) => OF_CARD.includes(key));
  // Of a device that somebody has opened QEMU sees that itself, and refuses to be told.
  const isOpened = parts.some(([key]) => key === "fd");
  const done = ["", "type", "id", ...(isOpened ? ["vnet_hdr"] : [])];
  const rest = parts.filter(([key]) => !done.includes(key) && !OF_CARD.includes(key));
  const backend = isReplay ? ([["", "user"], ["restrict", "on"]] as const) : ([["", type], ...rest] as const); // prettier-ignore
  const filter = `filter-replay,id=rebox-replay-${number},netdev=${id}`;
  return [name, writeParts([...backend, ["id", id], ...card]), "-object", filter];
}
