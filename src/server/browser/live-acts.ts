import type { LabEvent } from "./page";

/** The most that are shown: what a target starts and reaches for has no end. */
const MOST_PROCESSES = 300;
const MOST_ROWS = 100;
/** Events of the network that say where something went. */
const REACHING = /^network\.(connected|sent|asked|accepted|listening|failed)$/;

/** Shows the processes of an analysis as a tree, and what it does on the network, as it comes. All that comes from the guest goes in as text. */
export class LiveActs {
  readonly #processes = new Map<number, HTMLLIElement>();
  /** The living processes of the target, also those that are not shown: only they say of other events whose they are. */
  readonly #own = new Set<number>();
  readonly #conversations = new Map<string, { readonly count: HTMLElement; times: number }>();
  /** So many processes were shown; those that have ended stay. */
  #shown = 0;

  /**
   * @param tree the list of the processes that have no parent in it
   * @param rows the rows of the network
   */
  constructor(
    private readonly tree: HTMLElement,
    private readonly rows: HTMLElement,
  ) {}

  add(event: LabEvent): void {
    const { type, pid, origin } = event;
    if (type === "machine.restarted") for (const each of [...this.#own]) this.#endProcess(each);
    if (typeof pid !== "number") return;
    const begins = type === "process.created" || type === "process.executed";
    // What the guest's own system does is among the events. Of an act only its process says whose it is.
    if (type === "process.adopted" || (begins && (origin === "target" || origin === "adopted"))) this.#own.add(pid);
    else if (!this.#own.has(pid)) return;
    if (begins || type === "process.adopted") this.#addProcess(pid, event);
    else if (type === "process.ended") this.#endProcess(pid);
    else if (REACHING.test(type)) this.#addConversation(event);
  }

  #addProcess(pid: number, { ppid, name, commandLine }: LabEvent): void {
    let item = this.#processes.get(pid);
    if (item === undefined) {
      if (this.#shown >= MOST_PROCESSES) return;
      this.#shown++;
      item = document.createElement("li");
      item.append(document.createElement("b"), " ", document.createElement("code"));
      this.#processes.set(pid, item);
      const above = typeof ppid === "number" ? this.#processes.get(ppid) : undefined;
      (above === undefined ? this.tree : getList(above)).append(item);
    }
    item.querySelector("b")!.textContent = `${pid} ${toText(name)}`;
    if (commandLine !== undefined) item.querySelector("code")!.textContent = toText(commandLine);
  }

  /** A pid comes again, for another process. */
  #endProcess(pid: number): void {
    this.#own.delete(pid);
    const item = this.#processes.get(pid);
    item?.querySelector("b")!.append(" (ended)");
    this.#processes.delete(pid);
  }

  #addConversation({ type, protocol, address, port, name, process, pid }: LabEvent): void {
    const place = [toText(address ?? name), toText(port)].filter((part) => part !== "").join(":");
    const cells = [type.slice("network.".length), toText(protocol), place, `${toText(process)} ${toText(pid)}`];
    const key = cells.join(" ");
    const known = this.#conversations.get(key);
    if (known !== undefined) {
      known.count.textContent = String(++known.times);
      return;
    }
    if (this.#conversations.size >= MOST_ROWS) return;
    const row = document.createElement("tr");
    for (const text of [...cells, "1"]) row.insertCell().textContent = text;
    this.#conversations.set(key, { count: row.lastElementChild as HTMLElement, times: 1 });
    this.rows.append(row);
  }
}

/** Returns the list of the processes that one has started. */
function getList(item: HTMLElement): HTMLElement {
  const own = item.querySelector<HTMLElement>(":scope > ul");
  if (own !== null) return own;
  const list = document.createElement("ul");
  item.append(list);
  return list;
}

function toText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value).slice(0, 300) : "";
}
