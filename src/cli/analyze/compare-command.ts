import type { Command } from "commander";
import type { AnalysisComparison, ComparedAnalysis } from "../../lab/analysis/compare/compare-analyses";
import { toColouredText } from "../../config/terminal-text";
import { ExitStatus } from "../exit-status";
import { type AnalysesOptions, type AnalysesUse, defineAnalysesCommand, getEndedFolder, readNumber } from "./analyses-use"; // prettier-ignore

/** Creates the command `rebox analyses compare`. */
export function createCompareCommand(use: AnalysesUse): Command {
  return defineAnalysesCommand("compare", "tell what one analysis' target did and the other's did not")
    .argument("<one>", "the number of an analysis", readNumber)
    .argument("<other>", "the number of another", readNumber)
    .addHelpText("after", "\nPids, times and random names do not count as differences. See docs/guides/analyses.md.")
    .action((one: number, other: number, options: AnalysesOptions) =>
      use.run(options, async (database, labFolder) => {
        const folders = [
          await getEndedFolder(database, labFolder, one),
          await getEndedFolder(database, labFolder, other),
        ] as const;
        const { compareAnalyses } = await import("../../lab/analysis/compare/compare-analyses.js");
        const comparison = compareAnalyses(folders);
        use.environment.stdout.write(
          options.json === true ? `${JSON.stringify(comparison, null, 2)}\n` : renderComparison(comparison),
        );
        return ExitStatus.success;
      }),
    );
}

/** Writes a comparison for people. */
export function renderComparison({ analyses, both }: AnalysisComparison): string {
  const lines = analyses.map(({ id, title, outcome, score }) => {
    const shown = score === undefined ? "no verdict" : `score ${score}`;
    return `analysis ${id}: ${title}: ${outcome ?? "not ended"}, ${shown}`;
  });
  lines.push(`${both} acts are in both`, ...analyses.flatMap(renderSide));
  return lines.map((line) => `${toColouredText(line).replaceAll("\n", " ")}\n`).join("");
}

function renderSide({ id, only, findings }: ComparedAnalysis): string[] {
  const acts = only.map(({ type, process, facts, count }) => {
    const times = count > 1 ? ` (${count} times)` : "";
    return `  ${type.padEnd(20)} ${process === "" ? "" : `${process}: `}${facts}${times}`;
  });
  return [`only in ${id}: ${only.length} acts`, ...acts, ...findings.map((title) => `  fired                ${title}`)];
}
