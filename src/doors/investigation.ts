/** The door "rebox/investigation": what modules of investigations are made of. */

export { formatMode, formatTime } from "../guest/disks/search/go-text";
export { callWithin } from "../config/limits";
export { compileExpression } from "../systems/memory/search/text-pattern";
export { formatDuration, parseDuration } from "../investigation/go-duration";
export { Investigation, type Findings } from "../investigation/investigation";
export type { InvestigationContext, PersistentContext, Vantage } from "../investigation/module";
export type * from "../investigation/module";
export { registerInvestigation } from "../investigation/catalog";
export {
  type InvestigationMessage,
  MessageReader,
  parseMessage,
  readInputParameters,
  readUntilStop,
} from "../investigation/messages";
export { createFailure, encodeResult, type InvestigationResult } from "../investigation/result";
export {
  checkParameters,
  type FlagKind,
  type Flags,
  type ParameterSchema,
  parseFlags,
} from "../investigation/parameters";
export { PersistentInvestigation } from "../investigation/persistent/investigation";
export { MessageError, ParameterError, UsageShown } from "../investigation/errors";
export { z } from "zod";
