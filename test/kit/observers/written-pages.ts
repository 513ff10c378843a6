/** Counts, for a test, how often code of a page is news, while hooks in that page come and go. */
import { Engine, getGuest, getRunningProcess } from "rebox";
import type { GuestObserver } from "rebox/lab";

/** The options of the observer. */
export interface WrittenPages {
  readonly process: string;
  /** The page that the process writes code to, in hexadecimal, as the next. */
  readonly page: string;
  /** Where it has executed that code, and is about to look at it and write it anew. */
  readonly between: string;
  readonly turns: number;
  /** Whether a hook comes to the page at that place, and goes. */
  readonly withHooks: boolean;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => void {
  const { process, turns, withHooks, ...places } = options as unknown as WrittenPages;
  const [page, between] = [BigInt(places.page), BigInt(places.between)];
  const { pgd } = getGuest()
    .getProcessList()
    .find(({ name }) => name === process)!;
  const { native } = Engine.get();
  const news: number[] = [];
  native.setCodeWatcher(() => {
    if (news.length > 0) news.push(news.pop()! + 1);
  });
  native.watchCode(pgd, page, page + 4096n);
  callbacks.addCallback(
    "INSN_BEGIN_CB",
    (index) => {
      if (getRunningProcess(index) !== pgd || news.length > turns) return;
      if (news.length === turns) tell(news.slice(1));
      // At another place each time: translations of the page carry no call there yet.
      const addr = page + BigInt(news.length);
      news.push(0);
      if (withHooks) callbacks.rmCallback(callbacks.addCallback("BLOCK_BEGIN_CB", () => undefined, { addr, pgd }));
    },
    { addr: between },
  );
  return () => {
    native.unwatchCode();
    native.setCodeWatcher(undefined);
  };
}
