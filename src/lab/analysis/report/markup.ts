/** A piece of HTML in which everything that is not ours is escaped. */
export class Markup {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

type Part = Markup | string | number | undefined | readonly (Markup | string | number | undefined)[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Makes a piece of HTML from a template: pieces of HTML go in as they are, everything else as escaped text, and lists one by one.
 * Characters that would not show, or would turn the text's direction, are shown by their number.
 */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.reduce((text, string, index) => text + render(parts[index - 1]) + string));
}

/** A name and its value; a row without a value is left out. */
export type FactRow = readonly [name: string, value: Markup | string | number | undefined];

/** Renders facts as a table with their names in front. */
export function renderFacts(rows: readonly FactRow[], id?: string): Markup {
  const shown = rows.filter(([, value]) => value !== undefined);
  return markup`<table${id === undefined ? undefined : markup` id="${id}"`}>
    ${shown.map(
      ([name, value]) =>
        markup`<tr>
          <th>${name}</th>
          <td>${value}</td>
        </tr>`,
    )}
  </table>`;
}

function render(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (typeof part === "object") return part.map(render).join("");
  return escapeText(String(part));
}

function escapeText(text: string): string {
  return text
    .replace(/[&<>"']/g, (char) => ESCAPES[char]!)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) =>
      char === "\n" ? char : `\\u{${char.codePointAt(0)!.toString(16)}}`,
    );
}
