import { LiveActs } from "./live-acts";
import { showConsole } from "./live-console";
import { showScreen } from "./live-screen";
import { LiveView } from "./live-view";

/** The script of all pages: what they do beyond links and forms, which work without it too. */

/** Asks before a form that cannot be taken back is sent. */
function askBefore(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    const question = form.dataset["confirm"];
    if (question !== undefined && !window.confirm(question)) event.preventDefault();
  });
}

/** Lets files be dropped, and shows how much of them has arrived. */
function improveUploads(): void {
  const form = document.querySelector<HTMLFormElement>("form[data-upload]");
  const drop = form?.querySelector<HTMLElement>("[data-drop]");
  const input = form?.querySelector<HTMLInputElement>("input[type=file]");
  const progress = form?.querySelector("progress");
  const status = form?.querySelector<HTMLElement>("[data-status]");
  if (!form || !drop || !input || !progress || !status) return;
  for (const kind of ["dragenter", "dragover"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer !== null && event.dataTransfer.files.length > 0) input.files = event.dataTransfer.files;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button")!;
    const request = new XMLHttpRequest();
    const fail = (text: string) => {
      status.textContent = text;
      status.className = "notice bad";
      button.disabled = false;
      progress.hidden = true;
    };
    request.upload.addEventListener("progress", ({ loaded, total, lengthComputable }) => {
      if (lengthComputable) progress.value = loaded / total;
    });
    request.addEventListener("error", () => fail("The connection was lost; try again."));
    request.addEventListener("load", () => {
      if (request.status < 400) return location.assign(request.responseURL);
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      fail(page.querySelector("[role=alert]")?.textContent ?? `The server has refused it (${request.status}).`);
    });
    request.open("POST", form.action);
    progress.hidden = false;
    button.disabled = true;
    status.className = "";
    status.textContent = "Sending ...";
    request.send(new FormData(form));
  });
}

/** Loads a part of the page anew, again and again, while somebody may see it and is not busy in it. */
function refresh(): void {
  const part = document.querySelector<HTMLElement>("[data-refresh]");
  if (part === null) return;
  const load = async () => {
    if (document.hidden || part.contains(document.activeElement)) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("[data-refresh]");
    // Other parts of the page depend on it.
    if (now !== null && now.getAttribute("data-state") !== part.getAttribute("data-state")) return location.reload();
    if (now !== null && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
  };
  setInterval(() => void load().catch(() => undefined), Number(part.dataset["refresh"]));
}

/** An event of an analysis, as the server streams it. */
export interface LabEvent {
  readonly time: string;
  readonly type: string;
  readonly [fact: string]: unknown;
}

const MOST_ROWS = 200;
const LONGEST_FACTS = 500;

/** Shows an analysis while it runs. All that comes from the guest goes in as text. */
class LiveAnalysis {
  readonly #counts = new Map<string, number>();
  readonly #acts = new LiveActs(document.querySelector("[data-processes]")!, document.querySelector("[data-network]")!);
  #waiting: LabEvent[] = [];
  #isDrawing = false;

  constructor(
    private readonly section: HTMLElement,
    private readonly views: readonly LiveView[],
  ) {
    const source = new EventSource(section.dataset["stream"]!);
    source.addEventListener("event", ({ data }: MessageEvent<string>) => this.#add(JSON.parse(data) as LabEvent));
    source.addEventListener("phase", ({ data }: MessageEvent<string>) => this.#setPhase((JSON.parse(data) as { phase: string }).phase)); // prettier-ignore
    source.addEventListener("restart", () => location.reload());
    source.addEventListener("end", () => {
      source.close();
      location.reload();
    });
  }

  #add(event: LabEvent): void {
    this.#counts.set(event.type, (this.#counts.get(event.type) ?? 0) + 1);
    this.#acts.add(event);
    this.#waiting.push(event);
    if (this.#waiting.length > MOST_ROWS) this.#waiting.shift();
    if (event.type === "screenshot" && typeof event["file"] === "string") this.#showPicture(event["file"]);
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#isDrawing = false;
    const rows = document.querySelector("[data-events]")!;
    for (const { time, type, sequence: _sequence, ...facts } of this.#waiting.splice(0)) {
      const shown = Object.entries(facts).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`); // prettier-ignore
      rows.prepend(makeRow("td", [time.slice(11, 23), type, shown.join("  ").slice(0, LONGEST_FACTS)]));
    }
    while (rows.childElementCount > MOST_ROWS) rows.lastElementChild!.remove();
    const counts = [...this.#counts].sort(([, one], [, other]) => other - one).slice(0, 15);
    const table = document.querySelector("[data-counts] tbody")!;
    table.replaceChildren(...counts.map(([type, count]) => makeRow("th", [type, String(count)])));
  }

  #setPhase(phase: string): void {
    const steps = [...this.section.querySelectorAll<HTMLElement>("[data-phase]")];
    // The reboot that few analyses have is no step of its own.
    const shown = phase.includes("reboot") ? "running" : phase;
    const at = steps.findIndex((step) => step.dataset["phase"] === shown);
    for (const [index, step] of steps.entries()) {
      step.classList.toggle("done", index < at);
      if (index === at) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    this.section.querySelector("[data-status]")!.textContent = `Now: ${phase}.`;
    for (const view of this.views) view.setPhase(phase);
  }

  #showPicture(file: string): void {
    const place = document.querySelector<HTMLElement>("[data-shot]")!;
    const picture = document.createElement("img");
    picture.alt = "The guest's newest screen";
    picture.src = place.dataset["base"]! + encodeURIComponent(file.split("/").at(-1)!);
    place.replaceChildren(picture);
  }
}

function makeRow(first: "td" | "th", texts: readonly string[]): HTMLTableRowElement {
  const row = document.createElement("tr");
  for (const [index, text] of texts.entries()) {
    const cell = document.createElement(index === 0 ? first : "td");
    cell.textContent = text;
    row.append(cell);
  }
  return row;
}

askBefore();
improveUploads();
refresh();
const views = [...document.querySelectorAll<HTMLElement>("[data-live]")].map(
  (part) => new LiveView(part, part.dataset["live"] === "screen" ? showScreen : showConsole),
);
const live = document.querySelector<HTMLElement>("[data-stream]");
if (live !== null) new LiveAnalysis(live, views);
