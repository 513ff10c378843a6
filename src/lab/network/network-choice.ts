import { z } from "zod";
import { SettingError } from "../../config/errors";
import { SETTING_WORDS } from "../../config/schema/settings-schema";
import { NetworkError } from "../errors";
import type { MachineFacts } from "../machinery/records/lab-machine";

/** The network that a machine's card is connected to. */
export type NetworkChoice =
  /** A link on which nobody answers. */
  | { readonly kind: "none" }
  /** One of its own, in which INetSim plays the internet. */
  | { readonly kind: "simulated" }
  /** QEMU's user network: the guest reaches all that this host reaches. */
  | { readonly kind: "user" }
  | { readonly kind: "bridge"; readonly interface: string };

/** How a network is written, for messages. */
export const NETWORK_FORMS = "none, simulated, user or bridge:INTERFACE";

/**
 * Reads a network: "none", "simulated", "user" or "bridge:br0".
 *
 * @returns undefined for another text
 */
export function findNetwork(text: string): NetworkChoice | undefined {
  if (text === "none" || text === "simulated" || text === "user") return { kind: text };
  // dev_valid_name() of Linux' net/core/dev.c: at most 15 bytes, no slash, colon or blank.
  const [, name] = /^bridge:([^/:\s]{1,15})$/.exec(text) ?? [];
  return name === undefined || name === "." || name === ".." ? undefined : { kind: "bridge", interface: name };
}

/** Reads a network. @throws NetworkError for another text */
export function getNetwork(text: string): NetworkChoice {
  const network = findNetwork(text);
  if (network === undefined) throw new NetworkError(`${text} is no network; it must be ${NETWORK_FORMS}`);
  return network;
}

/** Writes a network as findNetwork() reads it. */
export function formatNetwork(network: NetworkChoice): string {
  return network.kind === "bridge" ? `bridge:${network.interface}` : network.kind;
}

/** Makes the type of a setting that is a network. */
export function networkSetting(): z.ZodString {
  return z.string().register(SETTING_WORDS, {
    accepted: NETWORK_FORMS,
    read(text) {
      if (findNetwork(text) === undefined) throw new SettingError();
      return text;
    },
  });
}

/** The settings of a machine that say how it is connected. */
export interface NetworkSettings {
  readonly network?: string | undefined;
  readonly args?: string | undefined;
  readonly machineinfo_path?: string | undefined;
}

/** The name of the network among QEMU's: arguments of a machine may connect a card of theirs to it. */
export const NETDEV = "lab-net";

/**
 * Finds the network of a machine's settings.
 *
 * @returns undefined when it has no card, or only such as its own arguments connect
 */
export function findOwnNetwork(facts: MachineFacts): NetworkChoice | undefined {
  const { network } = facts.settings as NetworkSettings;
  if (network !== undefined) return getNetwork(network);
  if (facts.interface !== undefined && !hasOwnArguments(facts)) return { kind: "bridge", interface: facts.interface };
  return hasCardInArguments(facts) ? { kind: "none" } : undefined;
}

/** Returns whether a machine's own arguments have a card for the lab's network. */
export function hasCardInArguments({ settings }: MachineFacts): boolean {
  return (settings as NetworkSettings).args?.includes(`netdev=${NETDEV}`) === true;
}

/** A machine with a machineinfo.json has all its devices, and its networks, from there. */
function hasOwnArguments({ settings }: MachineFacts): boolean {
  return (settings as NetworkSettings).machineinfo_path !== undefined;
}

/**
 * Says why a machine cannot be connected to a network.
 *
 * @param wanted what an analysis asks for; undefined leaves it to the machine's settings
 * @param canChoose whether its machinery makes networks
 */
export function findNetworkProblem(
  facts: MachineFacts,
  wanted: NetworkChoice | undefined,
  canChoose: boolean,
): string | undefined {
  if (wanted === undefined) return undefined;
  const { name, machineryName } = facts;
  const asked = formatNetwork(wanted);
  if (!canChoose) {
    return `${name} cannot be given the network ${asked}: the machinery ${machineryName} leaves networks to its machines; use a machine of rebox or qemu`;
  }
  const { args = "" } = facts.settings as NetworkSettings;
  if (findOwnNetwork(facts) === undefined && (hasOwnArguments(facts) || /(^|\s)--?(nic|netdev|net)\b/.test(args))) {
    return `${name} cannot be given the network ${asked}: its own arguments connect it; take -nic and -netdev out of them, and set network`;
  }
  if (wanted.kind === "none" || findOwnNetwork(facts) !== undefined) return undefined;
  const machine = facts.cloneOf ?? name;
  return `${name} cannot be given the network ${asked}: it has no network card; set network to one of ${NETWORK_FORMS}, and make its golden states anew: rebox machine prepare ${machine}`;
}
