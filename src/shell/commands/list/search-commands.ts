import { type Command, defineCommand } from "../command";
import { CommandError } from "../command-error";
import { parseBytes } from "../byte-pattern";
import { getSize, parseRange } from "../memory-place";
import { searchMemory, walkMemory } from "../memory-search";

const MOST_HITS = 1000;
const LARGEST_SEARCH = 0x100000000;
const DEFAULT_SIZE = 512;
const SHORTEST_TEXT = 4;
const RUN = new RegExp(`[\\x20-\\x7e]{${SHORTEST_TEXT},}`, "g");

export const SEARCH_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "s",
    aliases: ["search"],
    usage: '[p]ADDRESS:SIZE:HEX | "text" | u"text"',
    help: `Searches memory for bytes, text, or UTF-16 text, and tells the address of every hit, at most ${MOST_HITS}.\nPages that cannot be read are passed over.`,
    parse: (input, session) => {
      const [, place, size, pattern] = /^([^:"]+):([^:"]+):(.+)$/s.exec(input.rest()) ?? [];
      if (pattern === undefined) throw new CommandError("s needs ADDRESS:SIZE:PATTERN; see: help s");
      return { range: parseRange(`${place}:${size}`, session), pattern: parseBytes(pattern) };
    },
    run: async ({ range, pattern }, session) => {
      const size = getSize(range, DEFAULT_SIZE, LARGEST_SEARCH);
      const { pgd } = session;
      const { hits, isComplete } = await searchMemory({ ...range, size }, pgd, pattern, MOST_HITS);
      const namer = session.createNamer();
      const note = isComplete ? `${hits.length} found` : `more than ${MOST_HITS}: search less at a time`;
      const rows = hits.map((address) => ({ address, symbol: namer.find(address) }));
      return { kind: "rows", columns: ["address", "symbol"], rows, note };
    },
  }),
  defineCommand({
    name: "strings",
    usage: "[p]ADDRESS[:SIZE]",
    help: `Lists the runs of at least ${SHORTEST_TEXT} printable ASCII characters in memory, at most ${MOST_HITS}.`,
    parse: (input, session) => parseRange(input.get("an address"), session),
    run: async (range, session) => {
      const rows: { address: bigint; text: string }[] = [];
      const size = getSize(range, DEFAULT_SIZE, LARGEST_SEARCH);
      /** Behind the last run that was told. */
      let end = -1n;
      const isComplete = await walkMemory({ ...range, size }, session.pgd, SHORTEST_TEXT - 1, (bytes, address) => {
        for (const { 0: text, index } of bytes.toString("latin1").matchAll(RUN)) {
          const at = address + BigInt(index);
          const last = at + BigInt(text.length);
          const previous = rows.at(-1);
          if (last <= end) continue;
          if (previous !== undefined && at < end) {
            previous.text += text.slice(Number(end - at));
          } else {
            if (rows.length === MOST_HITS) return false;
            rows.push({ address: at, text });
          }
          end = last;
        }
        return true;
      });
      const note = isComplete ? undefined : `more than ${MOST_HITS}: look at less at a time`;
      return { kind: "rows", columns: ["address", "text"], rows, note };
    },
  }),
];
