/**
 * The names of PyREBox, MIG and Cuckoo as they are here, where they are not the same in camel case. A name of a member has its class
 * in front. docs/reference/pyrebox.md and its like have all names; a test compares.
 */
const RENAMED: Readonly<Record<string, string>> = {
  r_pa: "readPa",
  r_va: "readVa",
  r_cpu: "readCpu",
  w_pa: "writePa",
  w_va: "writeVa",
  r_ioport: "readIoPort",
  w_ioport: "writeIoPort",
  w_r: "writeRegister",
  w_sr: "writeSegmentRegister",
  get_loaded_modules: "listModules",
  find_procs: "getProcessList",
  vol_read_memory: "readPa",
  vol_write_memory: "writePa",
  VMI_CREATEPROC_CB: "CallbackManager.CREATEPROC_CB",
  get_module_handle: "CallbackManager.getModuleHandle",
  generate_callback_name: "CallbackManager.generateCallbackName",
  add_callback: "CallbackManager.addCallback",
  rm_callback: "CallbackManager.rmCallback",
  callback_exists: "CallbackManager.callbackExists",
  add_trigger: "CallbackManager.addTrigger",
  rm_trigger: "CallbackManager.rmTrigger",
  set_trigger_var: "CallbackManager.setTriggerVar",
  get_trigger_var: "CallbackManager.getTriggerVar",
  call_trigger_function: "CallbackManager.callTriggerFunction",
  get_addr: "BP.address",
  get_pgd: "BP.pgd",
  get_size: "BP.size",
  get_type: "BP.type",
  Register: "registerInvestigation",
  Moduler: "InvestigationModule",
  Runner: "InvestigationRun",
  PersistRunner: "PersistentInvestigation",
  Result: "InvestigationResult",
  HasResultsPrinter: "InvestigationRun.printResults",
  HasEnhancedPrivacy: "InvestigationRun.enhancePrivacy",
  HasParamsCreator: "InvestigationRun.paramsCreator",
  HasParamsParser: "InvestigationRun.paramsParser",
  ReadInputParameters: "Investigation",
  ReadInput: "Investigation",
  WatchForStop: "Investigation",
};

/** Writes a name of Python's style in that of TypeScript: "dump_memory" is "dumpMemory". */
export function toCamelCase(name: string): string {
  return name.replace(/(?<=[a-z\d])_([a-z\d])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Finds what a name of PyREBox, MIG or Cuckoo is called here.
 *
 * @param name a function, class or member, as it stands in that program's documents
 * @param known the names that exist here, for those that differ by their case alone
 * @returns undefined for a name that is none of theirs, or has no counterpart
 */
export function findAncestorName(name: string, known: readonly string[] = []): string | undefined {
  if (Object.hasOwn(RENAMED, name)) return RENAMED[name];
  const camel = toCamelCase(name);
  return camel !== name && known.includes(camel) ? camel : undefined;
}

/**
 * Explains an error of the JavaScript engine that comes from such a name: "cm.add_callback is not a function".
 *
 * @param message what the engine says
 * @returns a hint to put behind it, with its "; ", or ""
 */
export function explainAncestorName(message: string): string {
  const [, name] = /(?:^|\.|\s)(\w+)(?: is not a function| is not defined)$/.exec(message) ?? [];
  const own = name === undefined ? undefined : findAncestorName(name);
  return own === undefined ? "" : `; did you mean ${own}?`;
}
