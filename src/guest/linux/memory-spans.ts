/** A stretch of physical memory. */
export interface Span {
  readonly address: number;
  /** In bytes. */
  readonly size: number;
}

const PAGE = 0x1000;

/** Lists the addresses of the whole pages in stretches of memory. */
export function* listPages(spans: readonly Span[]): Generator<number> {
  for (const { address, size } of spans) {
    for (let page = Math.ceil(address / PAGE) * PAGE; page + PAGE <= address + size; page += PAGE) yield page;
  }
}
