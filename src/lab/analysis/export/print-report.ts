import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AnalysisError } from "../../errors";
import { runProgram } from "../../machinery/processes/run-program";

/** Names of Chromium's program: without a screen, Debian's, Google's. */
const NAMES = ["chromium-headless-shell", "chromium", "google-chrome"];
/** In milliseconds, also on a busy host. */
const LIMIT_MS = 180_000;

/**
 * Prints the report of an analysis into a PDF file, by a browser of this host. The report's text comes from the guest: the browser has no
 * scripts, no network and no profile.
 *
 * @param folder of the analysis
 * @param file is written; one that is there is replaced
 * @throws AnalysisError when there is no browser, or no report; MachineryError when it fails
 */
export async function printReport(folder: string, file: string, signal: AbortSignal): Promise<void> {
  const page = join(folder, "report.html");
  if (!existsSync(page)) throw new AnalysisError(`${page} is not there; without a report there is nothing to print`);
  const browser = getBrowser();
  const beside = mkdtempSync(join(dirname(resolve(file)), ".rebox-print-"));
  try {
    const printed = join(beside, "report.pdf");
    const options = [
      ...["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"],
      ...["--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer"],
      // Its sandbox refuses to work for root.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      ...[`--user-data-dir=${join(beside, "profile")}`, `--print-to-pdf=${printed}`, pathToFileURL(page).href],
    ];
    await runProgram(browser, options, { signal, timeoutMs: LIMIT_MS, packageName: "chromium" });
    if (!existsSync(printed)) throw new AnalysisError(`${browser} has printed nothing of ${page}`);
    renameSync(printed, file);
  } finally {
    // Its last helpers may still write there.
    rmSync(beside, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

function getBrowser(): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  for (const name of NAMES) {
    const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (found !== undefined) return found;
  }
  throw new AnalysisError("a report is printed by Chromium, which is not there; install it: apt install chromium");
}
