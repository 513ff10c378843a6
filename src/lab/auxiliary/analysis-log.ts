/** Where the parts of an analysis say what they do. */
export interface AnalysisLog {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Returns a log whose lines begin with a name. */
export function prefixLog(log: AnalysisLog, name: string): AnalysisLog {
  const prefixed = (write: (message: string) => void) => (message: string) => write(`${name}: ${message}`);
  return {
    debug: prefixed((message) => log.debug(message)),
    info: prefixed((message) => log.info(message)),
    warn: prefixed((message) => log.warn(message)),
    error: prefixed((message) => log.error(message)),
  };
}
