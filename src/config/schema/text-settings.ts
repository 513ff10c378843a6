import { isIP } from "node:net";
import type { ConfigNode } from "./config-node";
import { Setting, type SettingOptions } from "./setting";

const TRUE_WORDS = ["true", "yes", "on", "1"];
const FALSE_WORDS = ["false", "no", "off", "0"];

export interface StringOptions extends SettingOptions<string> {
  readonly toLower?: boolean;
  /** The only values that are accepted. */
  readonly choices?: readonly string[];
}

/** One line of text. */
export class StringSetting extends Setting<string> {
  constructor(private readonly own: StringOptions) {
    super(own);
  }

  get accepted(): string {
    return this.own.choices === undefined ? "one line of text" : `one of ${this.own.choices.join(", ")}`;
  }

  read(node: ConfigNode): string {
    const { toLower, choices } = this.own;
    const text = toLower ? this.getText(node).toLowerCase() : this.getText(node);
    if (text.includes("\n") || (choices !== undefined && !choices.includes(text))) throw this.refuse(node);
    return text;
  }

  override write(value: string): string {
    return quoteWhereNeeded(value);
  }
}

export interface IntOptions extends SettingOptions<number> {
  readonly min?: number;
  readonly max?: number;
}

/** A whole number. */
export class IntSetting extends Setting<number> {
  constructor(private readonly own: IntOptions) {
    super(own);
  }

  get accepted(): string {
    const { min, max } = this.own;
    if (min === undefined && max === undefined) return "a whole number";
    if (max === undefined) return `a whole number, ${min} or more`;
    return min === undefined ? `a whole number, ${max} at most` : `a whole number from ${min} to ${max}`;
  }

  read(node: ConfigNode): number {
    const text = this.getText(node);
    const value = Number(text);
    const { min = -Infinity, max = Infinity } = this.own;
    if (!/^[-+]?\d+$/.test(text) || !Number.isSafeInteger(value) || value < min || value > max) throw this.refuse(node);
    return value;
  }
}

/** A switch. */
export class BooleanSetting extends Setting<boolean> {
  readonly accepted = `one of ${[...TRUE_WORDS, ...FALSE_WORDS].join(", ")}`;

  read(node: ConfigNode): boolean {
    const text = this.getText(node).toLowerCase();
    if (TRUE_WORDS.includes(text)) return true;
    if (FALSE_WORDS.includes(text)) return false;
    throw this.refuse(node);
  }

  override write(value: boolean): string {
    return value ? "yes" : "no";
  }
}

/** The address of a web page. */
export class HttpUrlSetting extends Setting<string> {
  readonly accepted = "a URL such as https://host/path";

  read(node: ConfigNode): string {
    const text = this.getText(node);
    if (!URL.canParse(text) || !["http:", "https:"].includes(new URL(text).protocol)) throw this.refuse(node);
    return text;
  }
}

/** An IPv4 or IPv6 address. */
export class IpAddressSetting extends Setting<string> {
  readonly accepted = "an IP address such as 192.168.30.101";

  read(node: ConfigNode): string {
    const text = this.getText(node);
    if (isIP(text) === 0) throw this.refuse(node);
    return text;
  }
}

/** The address of a network card, in lower case. */
export class MacAddressSetting extends Setting<string> {
  readonly accepted = "a MAC address such as 52:54:00:12:34:56";

  read(node: ConfigNode): string {
    const text = this.getText(node).toLowerCase();
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text)) throw this.refuse(node);
    return text;
  }
}

/** Quotes text that YAML or INI would take for something else. */
export function quoteWhereNeeded(text: string): string {
  return /^[\w/.][\w/.:+ -]*$/.test(text) && !/[: ]$|: /.test(text) ? text : JSON.stringify(text);
}
