import type { ElfFacts } from "../../sample/elf-facts";
import type { SampleFacts } from "../../sample/sample-facts";
import { type FactRow, type Markup, markup, renderFacts } from "./markup";

/** So many entries of a list are on the page; report.json has more. */
const MOST_NAMES = 200;
const MOST_STRINGS = 500;

/** Renders what the target's own bytes say. */
export function renderSample({ size, md5, sha1, sha256, type, entropy, strings, elf, problems }: SampleFacts): Markup {
  const code = (text: string) => markup`<code>${text}</code>`;
  const rows: readonly FactRow[] = [
    ["Type", type && markup`${type.description} <span class="muted">${type.mime}</span>`],
    ["Size", `${size} bytes, entropy ${entropy} of 8`],
    ["MD5", code(md5)],
    ["SHA-1", code(sha1)],
    ["SHA-256", code(sha256)],
    ...(elf === undefined ? [] : describeElf(elf)),
    ...problems.map((problem): FactRow => ["", markup`<span class="bad">${problem}</span>`]),
  ];
  return markup`<section id="sample">
    <h2>The target's own facts</h2>
    ${renderFacts(rows)} ${elf === undefined ? undefined : renderParts(elf)}
    ${fold("Strings", strings.count, strings.first.slice(0, MOST_STRINGS))}
  </section>`;
}

function describeElf(elf: ElfFacts): readonly FactRow[] {
  return [
    ["ELF", `${elf.bits} bits, ${elf.machine}, ${elf.type}, begins at ${elf.entry}`],
    ["Interpreter", elf.interpreter],
    ["Libraries", elf.needed.length === 0 ? undefined : elf.needed.join(", ")],
    ["Build id", elf.buildId],
    [
      "Packer",
      elf.packerSigns.length === 0 ? undefined : markup`<span class="bad">${elf.packerSigns.join("; ")}</span>`,
    ],
  ];
}

function renderParts({ segments, sections, imports, exports }: ElfFacts): Markup {
  const segmentRows = segments.map(
    ({ type, permissions, address, fileSize, memorySize, entropy }) =>
      markup`<tr>
        <td>${type}</td>
        <td class="code">${permissions}</td>
        <td class="code">${address}</td>
        <td>${fileSize} / ${memorySize}</td>
        <td>${entropy}</td>
      </tr>`,
  );
  const sectionRows = sections.map(
    ({ name, flags, address, size, entropy }) =>
      markup`<tr>
        <td class="code">${name}</td>
        <td class="code">${flags}</td>
        <td class="code">${address}</td>
        <td>${size}</td>
        <td>${entropy}</td>
      </tr>`,
  );
  const table = (first: string, rows: readonly Markup[]) =>
    markup`<table>
      <tr>
        <th>${first}</th>
        <th></th>
        <th>address</th>
        <th>bytes</th>
        <th>entropy</th>
      </tr>
      ${rows}
    </table>`;
  return markup`<details>
      <summary>Segments and sections <span class="muted">${segments.length}, ${sections.length}</span></summary>
      ${table("segment", segmentRows)} ${table("section", sectionRows)}
    </details>
    ${fold("Imports", imports.count, imports.names.slice(0, MOST_NAMES))}
    ${fold("Exports", exports.count, exports.names.slice(0, MOST_NAMES))}`;
}

function fold(title: string, count: number, lines: readonly string[]): Markup {
  if (count === 0) return markup``;
  return markup`<details>
    <summary>${title} <span class="muted">${count}</span></summary>
    <p class="code">${lines.join("\n")}</p>
    ${count > lines.length ? markup`<p class="muted">The first ${lines.length}.</p>` : undefined}
  </details>`;
}
