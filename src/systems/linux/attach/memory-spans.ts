/** A stretch of physical memory. */
export interface Span {
  readonly address: number;
  /** In bytes. */
  readonly size: number;
}

const PAGE = 0x1000;

/**
 * Lists the addresses of the pages that stretches of memory touch, each once. In a file, memory need not begin at a page, so
 * that a stretch may begin or end within one.
 *
 * @param spans in the order of their addresses
 */
export function* listPages(spans: readonly Span[]): Generator<number> {
  let next = 0;
  for (const { address, size } of spans) {
    let page = Math.max(next, Math.floor(address / PAGE) * PAGE);
    for (; page < address + size; page += PAGE) yield page;
    next = page;
  }
}
