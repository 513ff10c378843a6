import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Markup, markup } from "./markup";
import { PAGE_POLICY, PAGE_STYLE } from "./page-style";

/** The folder of the parts, below that of the analysis. */
export const PARTS_FOLDER = "report";

/** The rows of a list that are in the page itself, and in each of its parts. */
const FIRST_ROWS = 200;
const PART_ROWS = 2_000;

/**
 * The parts of a report: the page has the first rows of each list, and the others are files beside it, which a browser loads when they
 * are asked for. So the page stays small however much has happened.
 */
export class ReportParts {
  readonly #folder: string;

  /** @param folder the folder of the analysis; parts of an earlier report are removed */
  constructor(folder: string) {
    this.#folder = join(folder, PARTS_FOLDER);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * Renders a list as a table, its further rows as parts.
   *
   * @param name of the list, which no other one of the report has: the beginning of the files' names
   * @param renderRow renders a "tr"
   */
  renderTable<Item>(name: string, items: readonly Item[], renderRow: (item: Item) => Markup): Markup {
    const first = table(items.slice(0, FIRST_ROWS), renderRow);
    if (items.length <= FIRST_ROWS) return first;
    const links: Markup[] = [];
    for (let from = FIRST_ROWS; from < items.length; from += PART_ROWS) {
      const rows = items.slice(from, from + PART_ROWS);
      const file = this.#write(`${name}-${links.length + 1}.html`, table(rows, renderRow));
      links.push(markup` <a href="${file}" target="${name}">${from + 1}&#8211;${from + rows.length}</a>`);
    }
    return markup`${first}
      <details class="further">
        <summary>More: ${FIRST_ROWS + 1} to ${items.length}</summary>
        <p>${links}</p>
        <iframe name="${name}" sandbox="" title="further rows of ${name}"></iframe>
      </details>`;
  }

  #write(name: string, content: Markup): string {
    mkdirSync(this.#folder, { recursive: true });
    const page = markup`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}" />
          <title>${name}</title>
          <style>
            ${PAGE_STYLE}
          </style>
        </head>
        <body class="part">
          ${content}
        </body>
      </html>
`;
    writeFileSync(join(this.#folder, name), page.text);
    return `${PARTS_FOLDER}/${name}`;
  }
}

function table<Item>(items: readonly Item[], renderRow: (item: Item) => Markup): Markup {
  return markup`<table>
    ${items.map(renderRow)}
  </table>`;
}
