import type { Duplex } from "node:stream";
import type { SettingsOf, SettingsSchema } from "../../config/schema/settings-schema";
import { MachineryError, NotSupportedError } from "../errors";
import type { GoldenOrigin } from "./golden/golden-state";
import type { ConfigContent, ConfigSource, MachineValues } from "./config/own-layout";
import type { LabMachine, MachineFacts, MachineState, MachineStatus } from "./records/lab-machine";

/** The abilities of a machinery beyond starting and stopping. */
export interface MachineryCapabilities {
  readonly norestoreStart: boolean;
  readonly acpiStop: boolean;
  readonly memoryDump: boolean;
  readonly screenshot: boolean;
  /** Pausing and going on. */
  readonly pause: boolean;
  /** Freezing RAM, devices and disk, and starting any number of machines from them. */
  readonly goldenStates: boolean;
  /** Its hypervisor keeps snapshots of machines that run, from which they start. */
  readonly snapshots: boolean;
  /** Text can be typed on the machine's serial console: an analysis executes a command by it. */
  readonly serialConsole: boolean;
  /** The machine can be given a disc: an analysis gives it the target by one. */
  readonly disc: boolean;
  /** QEMU's guest agent can be called in machines that have a port for it. */
  readonly guestAgent: boolean;
  /** Keys can be pressed on the machine's keyboard. */
  readonly keyboard: boolean;
  /** The machine's screen can be watched while it runs. */
  readonly screen: boolean;
  /** A run of the machine can be recorded. */
  readonly recording: boolean;
  /** A shell of rebox looks into the guest. */
  readonly introspection: boolean;
}

const OPTIONAL = {
  norestoreStart: "norestoreStart",
  acpiStop: "acpiStop",
  memoryDump: "dumpMemory",
  screenshot: "screenshot",
  pause: "pause",
  goldenStates: "freeze",
  snapshots: "takeSnapshot",
  serialConsole: "openConsole",
  disc: "insertDisc",
  guestAgent: "callGuestAgent",
  keyboard: "typeKeys",
  screen: "openScreen",
  recording: "recordedStart",
} as const;

/**
 * Starts, stops and looks at machines of one kind. A module extends it and implements at least
 * restoreStart(), stop() and state(); `name` makes it loadable, and is the name of its configuration file.
 *
 * Every function may take its time. It has to end when its signal is aborted: nothing waits for it any longer then.
 */
export abstract class Machinery<
  Settings extends SettingsSchema = SettingsSchema,
  MachineSettings extends SettingsSchema = SettingsSchema,
> {
  /** "" is abstract: not loaded. */
  readonly name: string = "";
  /** One sentence, for the template of its configuration. */
  readonly description: string = "";
  /** The settings of its configuration's main part. */
  readonly settings: Settings = {} as Settings;
  /** The settings of each machine, beside those that all machines have. */
  readonly machineSettings: MachineSettings = {} as MachineSettings;
  /** The setting that holds the hypervisor's name of a machine; undefined when that is always the machine's own. */
  readonly labelKey: string | undefined = "label";
  /** Machines without an `ip` are refused. */
  readonly needsAddress: boolean = true;
  /** Whether a machine is on as soon as its start has returned, so that poweroff after that is a failure. */
  readonly startsAtOnce: boolean = false;
  /** Settings in which no two machines may be the same, beside label, ip and mac_address. */
  readonly uniqueSettings: readonly string[] = [];

  #context: MachineryContext<SettingsOf<Settings>, SettingsOf<MachineSettings>> | undefined;

  /** Gives it its configuration, once, before anything else is called. */
  attach(context: MachineryContext<SettingsOf<Settings>, SettingsOf<MachineSettings>>): void {
    this.#context = context;
  }

  /** Its configuration and its place in the lab. */
  protected get context(): MachineryContext<SettingsOf<Settings>, SettingsOf<MachineSettings>> {
    if (this.#context === undefined) throw new MachineryError(`machinery ${this.name} has no configuration yet`);
    return this.#context;
  }

  /** The values of its main settings. */
  protected get config(): SettingsOf<Settings> {
    return this.context.config;
  }

  /** Reverts the machine to its snapshot and starts it. Only from poweroff. */
  abstract restoreStart(machine: LabMachine<SettingsOf<MachineSettings>>, signal: AbortSignal): Promise<void>;

  /** Ends the machine at once, as pulling the plug does. Throws MachineStateReachedError when it is off already. */
  abstract stop(machine: LabMachine<SettingsOf<MachineSettings>>, signal: AbortSignal): Promise<void>;

  /** Returns the machine's state. Throws MachineryUnhandledStateError for a state that none of the names fits. */
  abstract state(
    machine: LabMachine<SettingsOf<MachineSettings>>,
    signal: AbortSignal,
  ): Promise<MachineState | MachineStatus>;

  /** Starts the machine as it was left. */
  norestoreStart(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<void> {
    return this.#refuse("norestoreStart");
  }

  /**
   * Starts the machine from its disk, and records the run.
   *
   * @param folder of the recording, which is made; a file of its name with ".disc" behind it becomes a read-only drive of the machine
   */
  recordedStart(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _folder: string,
    _signal: AbortSignal,
  ): Promise<void> {
    return this.#refuse("recording");
  }

  /** Asks the machine's system to shut down. */
  acpiStop(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<void> {
    return this.#refuse("acpiStop");
  }

  /** Writes the machine's memory to a file that does not exist yet. The machine continues. */
  dumpMemory(_machine: LabMachine<SettingsOf<MachineSettings>>, _path: string, _signal: AbortSignal): Promise<void> {
    return this.#refuse("dumpMemory");
  }

  /** Writes what the machine shows to a PNG file. */
  screenshot(_machine: LabMachine<SettingsOf<MachineSettings>>, _path: string, _signal: AbortSignal): Promise<void> {
    return this.#refuse("screenshot");
  }

  /** Resumes a machine that its snapshot has left paused. */
  handlePaused(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<void> {
    return this.#refuse("handlePaused");
  }

  /** Pauses the machine. */
  pause(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<void> {
    return this.#refuse("pause");
  }

  /** Resumes the machine. */
  resume(machine: LabMachine<SettingsOf<MachineSettings>>, signal: AbortSignal): Promise<void> {
    return this.handlePaused(machine, signal);
  }

  /**
   * Opens the machine's serial console: text written to the stream is typed there, and the stream reads the machine's output. A
   * machine has one reader at a time, and earlier output is not repeated. The stream ends with the machine.
   */
  openConsole(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<Duplex> {
    return this.#refuse("openConsole");
  }

  /** Returns whether somebody has the serial console of openConsole(), so that nobody else can type there. */
  isConsoleTaken(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<boolean> {
    return this.#refuse("a serial console that is asked for");
  }

  /** Returns the file that gets everything that the machine writes on its serial console; undefined where there is none. */
  findConsoleLog(_machine: LabMachine<SettingsOf<MachineSettings>>): string | undefined {
    return undefined;
  }

  /**
   * Opens what the machine shows, for a viewer: a stream of the protocol RFB (RFC 6143) without a password. Several viewers may have one
   * at a time, and what they type reaches the machine. The stream ends with the machine.
   */
  openScreen(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<Duplex> {
    return this.#refuse("watching the screen");
  }

  /** Gives the machine, while it runs, a read-only disc: a drive whose first bytes are those of the file. */
  insertDisc(_machine: LabMachine<SettingsOf<MachineSettings>>, _path: string, _signal: AbortSignal): Promise<void> {
    return this.#refuse("insertDisc");
  }

  /** Takes the disc of insertDisc() out again. */
  removeDisc(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<void> {
    return this.#refuse("removeDisc");
  }

  /**
   * Presses keys of the machine's keyboard, one after the other.
   *
   * @param keys the keys of each press together, by QEMU's names: `["shift", "a"]`
   */
  typeKeys(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _keys: readonly (readonly string[])[],
    _signal: AbortSignal,
  ): Promise<void> {
    return this.#refuse("the keyboard");
  }

  /**
   * Has QEMU's guest agent in the machine's system execute a command.
   *
   * @param command of the agent, "guest-ping"; its arguments follow
   * @param limitMs how long the answer may take
   * @returns what the agent answers
   * @throws NotSupportedError for a machine without a port for the agent; MachineryConnectionError when it does not answer, or not
   *   yet; GuestAgentError when it refuses
   */
  callGuestAgent(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _command: string,
    _args: object,
    _limitMs: number,
    _signal: AbortSignal,
  ): Promise<unknown> {
    return this.#refuse("QEMU's guest agent");
  }

  /**
   * Returns the port of this host, on its loopback address, that leads to CAPE's or Cuckoo's agent in the machine; undefined where none
   * does, and the agent answers at the machine's own address.
   */
  async findAgentPort(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _signal: AbortSignal,
  ): Promise<number | undefined> {
    return undefined;
  }

  /** Returns the processor time of this host that a running machine has used, in milliseconds; undefined when it is not known. */
  async getProcessorTimeMs(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _signal: AbortSignal,
  ): Promise<number | undefined> {
    return undefined;
  }

  /** Returns the failure that ended a machine which has gone off; undefined when it ended by itself, or nothing is known. */
  async findFailure(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _signal: AbortSignal,
  ): Promise<string | undefined> {
    return undefined;
  }

  /**
   * Starts the machine fresh, in a way that it can be frozen into files of a folder.
   *
   * @param folder of a golden state that is being made
   */
  startToFreeze(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _folder: string,
    _signal: AbortSignal,
  ): Promise<void> {
    return this.#refuse("golden states");
  }

  /** Freezes RAM, devices and disk of a machine that was started by startToFreeze(), and ends it. */
  freeze(_machine: LabMachine<SettingsOf<MachineSettings>>, _folder: string, _signal: AbortSignal): Promise<void> {
    return this.#refuse("golden states");
  }

  /** Returns everything that must be the same when a golden state of the machine is used. */
  getGoldenOrigin(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<GoldenOrigin> {
    return this.#refuse("golden states");
  }

  /**
   * Has the hypervisor take a snapshot of a machine that runs, from which restoreStart() starts it then.
   *
   * @param name of the snapshot, which there is not yet
   */
  takeSnapshot(_machine: LabMachine<SettingsOf<MachineSettings>>, _name: string, _signal: AbortSignal): Promise<void> {
    return this.#refuse("snapshots");
  }

  /** Lists the names of the snapshots that the hypervisor keeps of a machine. */
  listSnapshots(_machine: LabMachine<SettingsOf<MachineSettings>>, _signal: AbortSignal): Promise<readonly string[]> {
    return this.#refuse("snapshots");
  }

  /** Removes a snapshot of a machine. */
  removeSnapshot(
    _machine: LabMachine<SettingsOf<MachineSettings>>,
    _name: string,
    _signal: AbortSignal,
  ): Promise<void> {
    return this.#refuse("snapshots");
  }

  /** Checks that the programs it needs are there. Throws MachineryDependencyError that says what to install. */
  async verifyDependencies(_signal: AbortSignal): Promise<void> {}

  /**
   * Returns why it cannot run a machine that is configured, or undefined when it can. That machine alone is refused then, with
   * this reason; the others are used.
   */
  findRefusal(_machine: MachineFacts<SettingsOf<MachineSettings>>): string | undefined {
    return undefined;
  }

  /** Sets up what all its machines need, once. */
  async init(_signal: AbortSignal): Promise<void> {}

  /**
   * Makes the machines: those of the configuration, unless a module overrides it. Then its configuration may have any
   * layout, or not be there: see configFiles, content and makeMachine() of the context.
   */
  async loadMachines(_signal: AbortSignal): Promise<readonly MachineFacts<SettingsOf<MachineSettings>>[]> {
    return this.context.configured;
  }

  /** Gives up what init() has set up. The manager has stopped the machines. */
  async shutdown(_signal: AbortSignal): Promise<void> {}

  /** Whether a module makes its machines itself, so that its configuration need not have the usual layout. */
  get makesMachines(): boolean {
    return this.loadMachines !== Machinery.prototype.loadMachines;
  }

  /** Returns the hypervisor's version; "" when it is not known. */
  async version(_signal: AbortSignal): Promise<string> {
    return "";
  }

  /** The abilities of the machinery: the methods that it overrides. */
  get capabilities(): MachineryCapabilities {
    const has = (method: (typeof OPTIONAL)[keyof typeof OPTIONAL]) => this[method] !== Machinery.prototype[method];
    return {
      norestoreStart: has(OPTIONAL.norestoreStart),
      acpiStop: has(OPTIONAL.acpiStop),
      memoryDump: has(OPTIONAL.memoryDump),
      screenshot: has(OPTIONAL.screenshot),
      pause: has(OPTIONAL.pause),
      goldenStates: has(OPTIONAL.goldenStates),
      snapshots: has(OPTIONAL.snapshots),
      serialConsole: has(OPTIONAL.serialConsole),
      disc: has(OPTIONAL.disc),
      guestAgent: has(OPTIONAL.guestAgent),
      keyboard: has(OPTIONAL.keyboard),
      screen: has(OPTIONAL.screen),
      recording: has(OPTIONAL.recording),
      introspection: false,
    };
  }

  #refuse(what: string): Promise<never> {
    return Promise.reject(new NotSupportedError(`machinery ${this.name} does not support ${what}`));
  }
}

/** The lab, as a machinery sees it. */
export interface MachineryContext<Settings, MachineSettings> {
  /** The values of its main settings. */
  readonly config: Settings;
  /** The machines of its configuration file. */
  readonly configured: readonly MachineFacts<MachineSettings>[];
  /** The lab's folder: where relative paths start. */
  readonly labFolder: string;
  /** Its configuration files as they are, from the lowest layer up; none when there is none. */
  readonly configFiles: readonly ConfigSource[];
  /** Their contents: sections with their settings (INI), or names with their values (YAML), all as text. */
  readonly content: Readonly<Record<string, ConfigContent>>;
  /**
   * Makes a machine out of settings, by the names that they have in files, and checks them like those of a file.
   *
   * Throws MachineryManagerError with every mistake.
   */
  makeMachine(name: string, values: MachineValues): MachineFacts<MachineSettings>;
  /** Returns a folder of the machine's own, which exists; its content outlives this process. */
  getFolder(machine: LabMachine<MachineSettings>): string;
  /** Reports something to the user of the lab. */
  log(text: string): void;
}
