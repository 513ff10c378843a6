import type { Server, Socket } from "node:net";
import { mayDoAllOf, type ScriptPermissions } from "../../config/script-permissions";
import type { GuestFile } from "../../guest/disks/guest-file";
import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import { startMonitoringProcess, stopMonitoringProcess } from "../../machine/state/processes";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import { OtherSystemError } from "../../systems/errors";
import { LinuxGuest } from "../../systems/linux/linux-guest";
import type { WindowsGuest } from "../../systems/windows/windows-guest";
import type { FindRequired, RequiredScript } from "../loading/required-imports";
import { createOwnMonitoring } from "../script-api";
import { FileAccess } from "./file-access";
import type { Permission } from "./operation";

/** The word of each permission in pyrebox.conf. */
const PERMISSION_WORDS: Readonly<Record<Permission, string>> = {
  net: "net",
  childProcess: "child_process",
  monitor: "monitor",
  modules: "modules",
  volatility: "volatility",
};

/** A kernel that was replaced by another one this many times ago is forgotten. */
const MOST_GUESTS = 8;
/** Of the guest's files that a script opens, the last ones are remembered. */
const MOST_GUEST_FILES = 10_000;

/** The ways from rebox to the script itself. */
export interface ScriptLink {
  print(text: string): void;
  /** Sends an event of something that the script has opened. */
  emit(id: number, value: unknown): void;
  /** A timer of the script's has run out. */
  fire(timer: number): void;
  /** A promise that one of its functions had returned is settled: ["value", text] or ["thrown", description]. */
  settle(ticket: number, outcome: readonly unknown[]): void;
  /** A promise that one of its callbacks had returned is settled; thrown is empty when it was fulfilled. */
  releaseHold(id: number, thrown: string): void;
}

/** One script in the sandbox as its operations know it: what it may do, and what it has opened. */
export class ScriptSession {
  readonly files: FileAccess;
  /** Monitors processes for this script alone. */
  readonly monitoring: ReturnType<typeof createOwnMonitoring>;
  readonly systems = new Handles<LinuxGuest | WindowsGuest>(
    this,
    "this guest's kernel is gone: call getSystem() or getGuest() again",
    MOST_GUESTS,
  );
  /** Those of the systems that are Linux. */
  readonly guests = {
    get: (id: number): LinuxGuest => {
      const system = this.systems.get(id);
      if (system instanceof LinuxGuest) return system;
      throw new OtherSystemError(system.version);
    },
  };
  readonly guestFiles = new Handles<GuestFile>(
    this,
    "this file was opened too long ago: open it again",
    MOST_GUEST_FILES,
  );
  readonly managers = new Handles<CallbackManager>(this, "there is no such CallbackManager");
  readonly sockets = new Handles<Socket | Server>(this, "this socket is closed");
  readonly subscriptions = new Handles<{ end(): void }>(this, "this subscription has ended");
  readonly timers = new Handles<{ end(): void; refresh(): void }>(this, "this timer has ended");
  /** Known once the script is started. */
  moduleHandle: number | undefined;
  #lastId = 0;

  /**
   * @param name the script's module name
   * @param owner disposes of all that the script opens
   */
  constructor(
    readonly name: string,
    readonly owner: ModuleOwner,
    readonly permissions: ScriptPermissions,
    readonly console: Console,
    readonly script: ScriptLink,
    readonly findRequired: FindRequired,
  ) {
    this.files = new FileAccess(name, permissions.folders);
    this.monitoring = createOwnMonitoring({ startMonitoringProcess, stopMonitoringProcess }, owner);
  }

  /** Makes a number that nothing else of this script has. */
  createId(): number {
    return ++this.#lastId;
  }

  /** Sends an event of something that the script has opened, unless the script is gone. */
  emit(id: number, value: unknown): void {
    if (this.owner.isOpen) this.script.emit(id, value);
  }

  /**
   * Gets a script that this one requires, to use its exports.
   *
   * @param file the path by which it is imported
   * @throws Error when it may do more than this script, which has no permission for that
   */
  getRequired(file: string): RequiredScript {
    const required = this.findRequired(file);
    if (required === undefined) throw new Error(`${this.name} requires no script ${file}`);
    if (!mayDoAllOf(this.permissions, required.permissions)) {
      this.demand("modules", `the exports of ${required.name}, which may do more than it`);
    }
    return required;
  }

  /** Refuses what is not permitted. @throws Error that says how to permit it */
  demand(permission: Permission, what: string): void {
    if (!this.permissions[permission]) this.refuse(what, PERMISSION_WORDS[permission]);
  }

  /** @throws Error that says how to permit it */
  refuse(what: string, permission: string): never {
    const { name } = this;
    throw new Error(
      `${name} may not use ${what}; to permit it: [PERMISSIONS] ${name}: ${permission} in pyrebox.conf, and reload it`,
    );
  }
}

/** Objects of rebox's for which numbers stand in the sandbox. */
export class Handles<Item extends object> {
  readonly #items = new Map<number, Item>();
  readonly #ids = new Map<Item, number>();

  /**
   * @param missing the message about a number that stands for nothing
   * @param most how many are remembered; the one that was added first is forgotten first
   */
  constructor(
    private readonly session: ScriptSession,
    private readonly missing: string,
    private readonly most = Infinity,
  ) {}

  /** Returns the number of an object: a new one when it has none. */
  add(item: Item): number {
    const known = this.#ids.get(item);
    if (known !== undefined) return known;
    const id = this.session.createId();
    this.#items.set(id, item);
    this.#ids.set(item, id);
    const [oldest] = this.#items.keys();
    if (this.#items.size > this.most && oldest !== undefined) this.remove(oldest);
    return id;
  }

  /** @throws RangeError when the number stands for nothing */
  get(id: number): Item {
    const item = this.#items.get(id);
    if (item === undefined) throw new RangeError(this.missing);
    return item;
  }

  find(id: number): Item | undefined {
    return this.#items.get(id);
  }

  /** Forgets an object, and returns it. */
  remove(id: number): Item | undefined {
    const item = this.#items.get(id);
    if (item === undefined) return undefined;
    this.#items.delete(id);
    this.#ids.delete(item);
    return item;
  }
}
