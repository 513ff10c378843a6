/** A command of rebox or npm that a document mentions, up to what is not for it. */
export interface DocumentedCommand {
  /** "rebox", or "npm". */
  readonly program: string;
  readonly words: readonly string[];
  /** As it stands in the document. */
  readonly text: string;
}

const INLINE_CODE = /`([^`\n]+)`/g;
const CODE_BLOCK = /^```\w*\n(.*?)^```$/gms;

/** Splits a document into what is shown as code, in lines, and the rest. */
export function splitCode(markdown: string): { readonly prose: string; readonly code: readonly string[] } {
  const blocks: string[] = [];
  const withoutBlocks = markdown.replace(CODE_BLOCK, (_, block: string) => {
    blocks.push(...block.replace(/\\\n\s*/g, " ").split("\n"));
    return "";
  });
  const prose = withoutBlocks
    .replace(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => {
      // A line that continues a list's entry is indented by two.
      if (line.startsWith("    ")) blocks.push(line.slice(4));
      return !line.startsWith("    ");
    });
  return { prose: prose.join("\n"), code: blocks };
}

/** Finds the commands of rebox and npm in a document's code. */
export function findCommands(markdown: string): DocumentedCommand[] {
  const { prose, code } = splitCode(markdown);
  const inline = [...prose.matchAll(INLINE_CODE)].map(([, text]) => text!);
  return [...inline, ...code].flatMap((text) => {
    // A shell's comment, and what a pipe or "&&" joins.
    const commands = text.replace(/\s#\s.*$/, "").split(/\s(?:\||&&|;)\s/);
    return commands.flatMap((command) => {
      const [, program, rest] = /^\s*(?:\$ )?(?:npx )?(rebox|npm)(?: (.*))?$/.exec(command) ?? [];
      if (program === undefined || rest === undefined) return [];
      // In a summary of a command, what may be left out is in brackets.
      const words = rest.replace(/[[\]]/g, " ").trim().split(/\s+/);
      return [{ program, words, text: command.trim() }];
    });
  });
}

/** The options among words, without their values: "--json", "-o". */
export function findOptions(words: readonly string[]): string[] {
  return words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.replace(/=.*/, ""));
}
