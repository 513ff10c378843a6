import type { AnalysisEvent } from "../event-log";
import { type Markup, markup } from "./markup";

/** In characters. */
const LONGEST_FACTS = 4_000;

/** Renders an event as a row. @param start the beginning of the analysis, from which its time counts */
export function renderEvent(
  { time, type, sequence: _sequence, instructions, ...facts }: AnalysisEvent,
  start: string,
): Markup {
  const shown = Object.entries(facts).map(([key, value]) => `${key}=${textOf(value)}`);
  return markup`<tr>
    <td class="muted">${since(time, start)}${instructions === undefined ? undefined : markup` <code>--at ${instructions}</code>`}</td>
    <td>${type}</td>
    <td class="code">${cut(shown.join("  "))}</td>
  </tr>`;
}

/** Returns a time as seconds after the beginning. */
export function since(time: string, start: string): string {
  return `${((Date.parse(time) - Date.parse(start)) / 1000).toFixed(3)} s`;
}

function cut(text: string): string {
  return text.length <= LONGEST_FACTS ? text : `${text.slice(0, LONGEST_FACTS)} ...`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
