import { RecordingError } from "../errors";

/** One of QEMU's options with its value. */
export interface MachineOption {
  /** With one dash: "-drive". */
  readonly name: string;
  /** Undefined for an option that takes none. */
  readonly value: string | undefined;
}

/**
 * The options that a recording knows, and whether they take a value. One that is not among them is refused: nobody could say
 * whether it brings something into the guest that the log does not have.
 */
const TAKES_VALUE: Readonly<Record<string, boolean>> = {
  ...{
    "-machine": true,
    "-M": true,
    "-cpu": true,
    "-accel": true,
    "-smp": true,
    "-m": true,
    "-k": true,
    "-boot": true,
  },
  ...{ "-nodefaults": false, "-no-reboot": false, "-no-shutdown": false, "-action": true, "-S": false, "-name": true },
  ...{ "-kernel": true, "-initrd": true, "-append": true, "-dtb": true, "-bios": true, "-uuid": true, "-global": true },
  ...{ "-drive": true, "-hda": true, "-hdb": true, "-hdc": true, "-hdd": true, "-cdrom": true, "-snapshot": false },
  ...{ "-nic": true, "-netdev": true, "-net": true, "-device": true, "-usb": false, "-rtc": true, "-seed": true },
  ...{
    "-icount": true,
    "-fw_cfg": true,
    "-smbios": true,
    "-display": true,
    "-vga": true,
    "-vnc": true,
    "-nographic": false,
  },
  ...{ "-serial": true, "-parallel": true, "-chardev": true, "-debugcon": true, "-monitor": true, "-qmp": true },
  ...{ "-pidfile": true, "-msg": true, "-d": true, "-D": true, "-gdb": true, "-s": false },
};

/**
 * Splits QEMU's arguments into options.
 *
 * @throws RecordingError for an option that a recording does not know, and for a value that is missing
 */
export function splitOptions(args: readonly string[]): MachineOption[] {
  const options: MachineOption[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] as string;
    const name = word.replace(/^--/, "-");
    const takesValue = Object.hasOwn(TAKES_VALUE, name) ? TAKES_VALUE[name] : undefined;
    if (takesValue === undefined) {
      const what = word.startsWith("-") ? `the option ${word}` : `"${word}", which belongs to no option,`;
      throw new RecordingError(
        `${what} cannot be recorded: leave it out; docs/reference/recordings.md lists the options`,
      );
    }
    const value = takesValue ? args[++at] : undefined;
    if (takesValue && value === undefined) throw new RecordingError(`${word} needs a value behind it`);
    options.push({ name, value });
  }
  return options;
}

/** Reads "a,b=c,d=e,,f" as QEMU does: a doubled comma is one within a value. A part without "=" is a value with the name "". */
export function readParts(value: string): [name: string, value: string][] {
  const parts = value.match(/(?:[^,]|,,)+/g) ?? [];
  return parts.map((part) => {
    const text = part.replaceAll(",,", ",");
    const equals = text.indexOf("=");
    return equals < 0 ? ["", text] : [text.slice(0, equals), text.slice(equals + 1)];
  });
}

/** The reverse of readParts(). */
export function writeParts(parts: readonly (readonly [name: string, value: string])[]): string {
  return parts.map(([name, value]) => `${name === "" ? "" : `${name}=`}${value.replaceAll(",", ",,")}`).join(",");
}
