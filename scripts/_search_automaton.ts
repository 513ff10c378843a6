/** Makes the automaton that triggers/search_automaton.h steps through, of several expressions at once; for memory_search. */
import type { Expression } from "./_search_expression";

/** More take more memory than a processor's caches have. */
const MOST_STATES = 2048;
const MOST_NODES = 20_000;
/** How far back memory is looked at for expressions without a longest match, and at most, in bytes. */
const UNBOUNDED = 256;
const MOST_LONGEST = 1024;

/** How the bytes of an expression lie in memory: one behind the other, or each with a zero behind it, or in front. */
export type ByteForm = "plain" | "zero-behind" | "zero-before";

/** A pattern: its number in the automaton is its place in the list. */
export interface SearchedExpression {
  readonly expression: Expression;
  readonly form: ByteForm;
}

interface Node {
  readonly free: number[];
  edge?: { readonly bytes: ReadonlySet<number>; readonly to: number };
  pattern?: number;
}

const ZERO: ReadonlySet<number> = new Set([0]);

/**
 * Makes an automaton in the trigger's form.
 *
 * @throws Error when an expression matches without a byte, or all of them together are too large
 */
export function buildAutomaton(searched: readonly SearchedExpression[]): Uint8Array {
  const graph = new Graph();
  searched.forEach((one, pattern) => graph.add(one, pattern));
  const longest = Math.max(
    1,
    ...searched.map(({ expression, form }) => measure(expression) * (form === "plain" ? 1 : 2)),
  );
  return encode(determineWithin(graph), longest === Infinity ? UNBOUNDED : Math.min(longest, MOST_LONGEST));
}

/** Measures the longest match, in bytes without zeros between them. */
function measure(expression: Expression): number {
  if (expression.kind === "bytes") return 1;
  if (expression.kind === "repeat") return expression.most === 0 ? 0 : measure(expression.part) * expression.most;
  const sizes = expression.parts.map(measure);
  return expression.kind === "choice" ? Math.max(0, ...sizes) : sizes.reduce((sum, size) => sum + size, 0);
}

/** Places between bytes, with the bytes that lead from one to another (Thompson's construction). */
class Graph {
  readonly nodes: Node[] = [];
  readonly starts: number[] = [];
  /** By pattern: its last node and one more; of each the nodes are numbered from the end of a match to its beginning. */
  readonly #ends: number[] = [];

  add({ expression, form }: SearchedExpression, pattern: number): void {
    const end = this.#node();
    const start = this.#build(expression, end, form);
    if (this.reach([start]).has(end)) throw new Error("an expression matches nothing at all, which is everywhere");
    if (form === "zero-before") {
      // A zero is in front of nearly everything: a match begins with what follows.
      for (const one of this.reach([start])) this.starts.push(...this.#listNext(one));
    } else this.starts.push(start);
    if (form === "zero-behind") {
      // For the same reason a match ends in front of its last zero.
      for (const node of this.nodes) {
        if (node.edge?.bytes === ZERO && this.reach([node.edge.to]).has(end)) node.pattern = pattern;
      }
    } else this.nodes[end]!.pattern = pattern;
    this.#ends.push(this.nodes.length);
  }

  /** Keeps the nodes that are furthest in each pattern, and all at which one begins or ends. @param set ascending */
  limit(set: readonly number[], most: number): readonly number[] {
    if (most === Infinity) return set;
    const starts = this.reach(this.starts);
    let pattern = 0;
    let kept = 0;
    return set.filter((one) => {
      for (; one >= this.#ends[pattern]!; pattern++) kept = 0;
      const { edge, pattern: complete } = this.nodes[one]!;
      return starts.has(one) || complete !== undefined || (edge !== undefined && kept++ < most);
    });
  }

  /** Finds the nodes that are reached without a byte. */
  reach(from: Iterable<number>): Set<number> {
    const reached = new Set(from);
    for (const one of reached) for (const next of this.nodes[one]!.free) reached.add(next);
    return reached;
  }

  #listNext(node: number): number[] {
    const { edge } = this.nodes[node]!;
    return edge === undefined ? [] : [edge.to];
  }

  #node(...free: number[]): number {
    if (this.nodes.length >= MOST_NODES) throw new Error("the expressions are too large: fewer repetitions are needed");
    return this.nodes.push({ free }) - 1;
  }

  #edge(bytes: ReadonlySet<number>, to: number): number {
    const node = this.#node();
    this.nodes[node]!.edge = { bytes, to };
    return node;
  }

  /** Builds what leads to a node. @returns where it begins */
  #build(expression: Expression, to: number, form: ByteForm): number {
    switch (expression.kind) {
      case "bytes":
        if (form === "zero-behind") return this.#edge(expression.bytes, this.#edge(ZERO, to));
        if (form === "zero-before") return this.#edge(ZERO, this.#edge(expression.bytes, to));
        return this.#edge(expression.bytes, to);
      case "sequence":
        return expression.parts.reduceRight((next, part) => this.#build(part, next, form), to);
      case "choice":
        return this.#node(...expression.parts.map((part) => this.#build(part, to, form)));
      case "repeat": {
        const { part, least, most } = expression;
        let next = to;
        if (most === Infinity) {
          const again = this.#node(to);
          this.nodes[again]!.free.push(this.#build(part, again, form));
          next = again;
        } else for (let i = least; i < most; i++) next = this.#node(to, this.#build(part, next, form));
        for (let i = 0; i < least; i++) next = this.#build(part, next, form);
        return next;
      }
    }
  }
}

interface Automaton {
  readonly classes: Uint8Array;
  readonly classCount: number;
  /** By state and class. */
  readonly next: readonly number[][];
  readonly patterns: readonly (number | undefined)[];
}

/**
 * Gives beginnings up where matches that begin within each other would need too many states: 4[0-9]{15} has one for each choice of digits that
 * may be its 4. Of those that are under way, the ones that have come furthest stay.
 */
function determineWithin(graph: Graph): Automaton {
  for (const most of [Infinity, 4, 1]) {
    const automaton = determine(graph, most);
    if (automaton !== undefined) return automaton;
  }
  throw new Error(`the expressions together have more than ${MOST_STATES} states`);
}

/**
 * Finds the sets of nodes that bytes lead to (the subset construction); a match may begin at every byte.
 *
 * @param most how many places each pattern may be at, besides its beginning
 * @returns undefined when there would be too many sets
 */
function determine(graph: Graph, most: number): Automaton | undefined {
  const { classes, examples } = classify(graph.nodes.flatMap(({ edge }) => (edge ? [edge.bytes] : [])));
  const numbers = new Map<string, number>();
  const sets: (readonly number[])[] = [];
  const number = (nodes: Iterable<number>): number => {
    const set = graph.limit(
      [...graph.reach(nodes)].sort((a, b) => a - b),
      most,
    );
    const key = set.join();
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, sets.length);
    return sets.push(set) - 1;
  };
  number(graph.starts);
  const next: number[][] = [];
  for (let state = 0; state < sets.length; state++) {
    if (sets.length > MOST_STATES) return undefined;
    const set = sets[state]!;
    next.push(
      examples.map((byte) =>
        number([
          ...graph.starts,
          ...set.flatMap((node) => (graph.nodes[node]!.edge?.bytes.has(byte) ? [graph.nodes[node]!.edge.to] : [])),
        ]),
      ),
    );
  }
  const patterns = sets.map((set) => {
    const complete = set.flatMap((node) => graph.nodes[node]!.pattern ?? []);
    return complete.length === 0 ? undefined : Math.min(...complete);
  });
  return { classes, classCount: examples.length, next, patterns };
}

/** Sorts bytes by the sets that they are in: those of a class lead to the same everywhere. @returns also a byte of each class */
function classify(sets: readonly ReadonlySet<number>[]): { readonly classes: Uint8Array; readonly examples: number[] } {
  const distinct = [...new Set(sets)];
  const numbers = new Map<string, number>();
  const examples: number[] = [];
  const classes = Uint8Array.from({ length: 256 }, (_, byte) => {
    const key = distinct.map((set) => (set.has(byte) ? "1" : "0")).join("");
    if (!numbers.has(key)) numbers.set(key, examples.push(byte) - 1);
    return numbers.get(key)!;
  });
  return { classes, examples };
}

function encode({ classes, classCount, next, patterns }: Automaton, longest: number): Uint8Array {
  const accepting = patterns.flatMap((pattern, state) => (pattern === undefined ? [] : [[state, pattern] as const]));
  const bytes = new Uint8Array(16 + 256 + next.length * classCount * 2 + accepting.length * 4);
  const view = new DataView(bytes.buffer);
  [next.length, classCount, longest, accepting.length].forEach((value, index) =>
    view.setUint32(4 * index, value, true),
  );
  bytes.set(classes, 16);
  let at = 16 + 256;
  for (const value of [...next.flat(), ...accepting.flat()]) {
    view.setUint16(at, value, true);
    at += 2;
  }
  return bytes;
}
