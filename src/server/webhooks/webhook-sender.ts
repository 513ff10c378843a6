import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisEnds } from "../../lab/analysis/queue/analysis-ends";
import type { AnalysisSearch } from "../../lab/analysis/search/search-analyses";
import { toAnalysis } from "../api/analysis-schema";
import type { AddressCheck } from "./address-check";
import { sendWebhook } from "./send-webhook";
import type { WebhookStore } from "./webhook-store";

/** The time between two looks for ends of analyses and messages whose time has come, in milliseconds. */
const POLL_MS = 1_000;
const MOST_AT_ONCE = 8;

/** The parts of a server that webhooks are sent by. */
export interface WebhookParts {
  readonly store: WebhookStore;
  readonly ends: AnalysisEnds;
  readonly search: AnalysisSearch;
  readonly check: AddressCheck;
  log(text: string): void;
}

/**
 * Tells the webhooks of ends of analyses. Both the ends and the messages are in databases, so what ends while there is no server, and
 * what could not be delivered, is told by the next one.
 */
export class WebhookSender {
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(private readonly parts: WebhookParts) {}

  start(): void {
    this.#loop = this.#run(this.#stopping.signal);
  }

  /** Sends no more; a message that is on its way is sent again by the next server. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { store, log } = this.parts;
    while (!signal.aborted) {
      try {
        this.#addMessages();
        const due = store.listDue(MOST_AT_ONCE);
        await Promise.all(
          due.map(async (message) => {
            const answer = await sendWebhook(message, this.parts.check, signal).catch((error: unknown) => String(error instanceof Error ? error.message : error)); // prettier-ignore
            if (!signal.aborted) store.note(message.id, answer);
          }),
        );
        if (due.length > 0) continue;
      } catch (error) {
        log(`webhooks: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Makes messages of the ends of analyses, which are forgotten when the messages are there. */
  #addMessages(): void {
    const { store, ends, search } = this.parts;
    for (let listed = ends.list(); listed.length > 0; listed = ends.list()) {
      const hasAny = store.list().some(({ isOver }) => !isOver);
      for (const { analysis } of hasAny ? listed : []) {
        const found = search.find(analysis);
        if (found !== undefined) store.addDeliveries(analysis, JSON.stringify({ type: "analysis.ended", timestamp: found.ended, data: toAnalysis(found) })); // prettier-ignore
      }
      ends.forget(listed.at(-1)!.sequence);
    }
  }
}
