type Kind = "bigint" | "number" | "string" | "boolean";
type Signature = readonly (Kind | `${Kind}?`)[];

/**
 * The functions of "rebox" that a script in the sandbox may call and that are carried out in rebox, with the types of
 * their arguments: arguments and results are copied. A function that is in none of these lists is not there in the
 * sandbox.
 */
export const CALLED: Readonly<Record<string, Signature>> = {
  diagnoseGuest: [],
  findGuestRefusal: [],
  findPa: ["bigint", "bigint"],
  getBlockCount: [],
  getOsBits: [],
  getRunningProcess: ["number?"],
  isMonitoredProcess: ["bigint"],
  listCallbacks: [],
  listCommands: [],
  listModules: [],
  getSystemCallEntries: [],
  getSystemCalls: [],
  getSystemTime: [],
  readIoPort: ["number", "number"],
  setBlockCounting: ["boolean"],
  startMonitoringProcess: ["bigint"],
  stopMonitoringProcess: ["bigint", "boolean?"],
  symToVa: ["bigint", "string", "string"],
  vaToPa: ["bigint", "bigint"],
  vaToSym: ["bigint", "bigint"],
  writeGuestTypes: ["string"],
  writeIsf: ["string"],
  writeIoPort: ["number", "number", "number"],
  writeRegister: ["number", "string", "bigint"],
  writeSegmentRegister: ["number", "string", "number", "bigint", "number", "number"],
};

/** Those that return a promise. */
export const PROMISED: Readonly<Record<string, Signature>> = {
  importModule: ["string"],
  loadVm: ["string"],
  mouseButton: ["number"],
  mouseMove: ["number", "number", "number?"],
  reloadModule: ["number"],
  runCommand: ["string"],
  saveVm: ["string"],
  screenshot: ["string"],
  sendKey: ["string", "number?"],
  unloadModule: ["number"],
};

/** Those that the sandbox's own code has, because they are called often or take functions: realm/api.ts. */
export const OWN: readonly string[] = [
  ...["CallbackManager", "Cpu", "Engine", "EngineStartError", "EngineUsageError", "EventBatch", "MemoryError"],
  ...["QmpError", "ScriptError", "TranslationBlock", "TriggerError", "getNumCpus", "hot", "isKernelRunning"],
  ...["readCpu", "readPa", "readVa", "viewPa", "writePa", "writeVa"],
  ...["AddressError", "AttachError", "BtfError", "KernelDataError", "MissingSymbolError", "MissingTypeError"],
  ...["findGuest", "getGuest", "getModuleList", "getProcessList", "getSymbolList", "waitForGuest"],
  ...["VolatilityError", "volatility"],
  ...["DiskError", "GuestFile", "getFilesystems", "openGuestPath"],
];

/** Those that are for trusted scripts only: what they register or open is rebox's own, and would be called across realms. */
export const TRUSTED_ONLY: readonly string[] = [
  ...["BP", "ImageError", "dumpMemory", "openImage", "startShell"],
  // For investigation modules, which are trusted.
  ...["FileEvents", "FileSearch", "GuestFiles", "followGuest", "listPackages", "printMode", "printTime", "searchFiles"],
  ...["BytePattern", "TextPattern", "callWithin", "compileExpression", "searchProcess"],
  ...["formatDuration", "parseDuration"],
  // For modules of the lab, which are trusted.
  ...["Auxiliary", "AuxiliaryDisabled"],
  ...["Investigation", "PersistentInvestigation", "parseFlags", "UsageShown", "registerInvestigation", "z"],
  ...["CuckooMachineError", "CuckooMachinery", "LibVirtMachinery", "Machinery", "MachineryConnectionError"],
  ...["MachineryDependencyError", "MachineryError", "MachineryUnhandledStateError", "MachineNotFoundError"],
  ...["MachineStateReachedError", "MachineUnexpectedStateError", "NotSupportedError", "config"],
];

/** What needs the permission `modules`: it concerns other scripts. */
export const CONCERNS_OTHERS: readonly string[] = ["importModule", "reloadModule", "runCommand", "unloadModule"];

/**
 * Checks what a script gives to a function: what is behind it may take the types for granted.
 *
 * @throws TypeError that names the argument
 */
export function checkArguments(name: string, signature: Signature, args: readonly unknown[]): void {
  signature.forEach((kind, index) => {
    const value = args[index];
    const isOptional = kind.endsWith("?");
    if (isOptional && value === undefined) return;
    const wanted = kind.replace("?", "");
    if (typeof value !== wanted) {
      throw new TypeError(`argument ${index + 1} of ${name}() is a ${typeof value}; it must be a ${wanted}`);
    }
    if (wanted === "number" && !Number.isSafeInteger(value)) {
      throw new RangeError(`argument ${index + 1} of ${name}() is ${String(value)}; it must be a whole number`);
    }
  });
}

/**
 * Describes what a script in the sandbox imports as "rebox".
 *
 * @param api what a trusted script imports
 */
export function describeApi(api: object) {
  const entries = Object.entries(api) as [string, unknown][];
  const isPrimitive = ([, value]: [string, unknown]) => typeof value !== "function" && typeof value !== "object";
  const manager = (api as { CallbackManager?: object }).CallbackManager ?? {};
  return {
    constants: Object.fromEntries(entries.filter(isPrimitive)),
    types: Object.fromEntries(Object.entries(manager).filter(([, value]) => typeof value === "string")),
    functions: Object.keys(CALLED),
    promised: Object.keys(PROMISED),
  };
}
