/** How a target is started in the guest. */
export interface StartRequest {
  /** Its arguments, of any text but NUL. */
  readonly args?: readonly string[];
  /** Variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The user of the guest that it runs as; the one that the way into the guest is without it. */
  readonly user?: string | undefined;
  /** The folder in the guest in which it runs; its own folder without it. */
  readonly workingFolder?: string | undefined;
}

/** The member of an archive that is the target. */
export interface ArchiveRequest {
  /** Its path in the archive; without it, the only file that is in there. */
  readonly member?: string | undefined;
  readonly password?: string | undefined;
}

/** The machines that may be taken where none is named. */
export interface MachineChoice {
  readonly platform?: string | undefined;
  /** The version of the system, as the machine's settings have it. */
  readonly osVersion?: string | undefined;
  /** x86, x64 ... */
  readonly architecture?: string | undefined;
  readonly machinery?: string | undefined;
  /** The golden state that it starts from. */
  readonly golden?: string | undefined;
  /** All of which the machine has. */
  readonly tags?: readonly string[];
}
