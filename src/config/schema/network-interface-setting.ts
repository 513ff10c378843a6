import { readdirSync, readFileSync } from "node:fs";
import type { ConfigNode } from "./config-node";
import { Setting, type ReadScope, type SettingOptions } from "./setting";
import { SettingError } from "./setting-error";

export interface NetworkInterfaceOptions extends SettingOptions<string> {
  readonly mustExist?: boolean;
  readonly mustBeUp?: boolean;
}

/** The kernel's table of interfaces: Linux, Documentation/ABI/testing/sysfs-class-net. */
const INTERFACES = "/sys/class/net";
/** IFF_UP of linux/if.h. */
const FLAG_UP = 1;

/** The name of one of this machine's network interfaces. */
export class NetworkInterfaceSetting extends Setting<string> {
  readonly accepted = "the name of a network interface such as br0";

  constructor(private readonly own: NetworkInterfaceOptions) {
    super(own);
  }

  read(node: ConfigNode, scope: ReadScope): string {
    const name = this.getText(node);
    // dev_valid_name() of Linux' net/core/dev.c: at most 15 bytes, no slash, colon or blank.
    if (!/^[^/:\s]{1,15}$/.test(name) || name === "." || name === "..") throw this.refuse(node);
    if (scope.checksSystem && (this.own.mustExist || this.own.mustBeUp)) this.#check(name, node);
    return name;
  }

  #check(name: string, node: ConfigNode): void {
    const known = readdirSync(INTERFACES);
    if (!known.includes(name)) {
      const advice = `this machine has ${known.join(", ")}; a bridge is made by "ip link add ${name} type bridge"`;
      throw new SettingError(`is ${name}, but there is no such network interface; ${advice}`, node.place);
    }
    if (!this.own.mustBeUp) return;
    const flags = Number(readFileSync(`${INTERFACES}/${name}/flags`, "utf8"));
    if ((flags & FLAG_UP) === 0) {
      throw new SettingError(`is ${name}, which is down; run "ip link set ${name} up"`, node.place);
    }
  }
}
