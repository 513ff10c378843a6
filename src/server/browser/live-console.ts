import { Terminal } from "@xterm/xterm";
import terminalStyle from "@xterm/xterm/css/xterm.css";
import type { Shown } from "./live-view";

/** The size that systems of guests expect of a serial console. */
const COLUMNS = 80;
const ROWS = 24;
const LINES_KEPT = 10_000;

/** Shows a machine's serial console. */
export async function showConsole(place: HTMLElement, socket: WebSocket, mayType: boolean): Promise<Shown> {
  adoptStyles();
  const terminal = new Terminal({
    ...{ cols: COLUMNS, rows: ROWS, scrollback: LINES_KEPT, disableStdin: !mayType, fontSize: 13 },
    ...{ fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace', convertEol: false, cursorBlink: false },
    // A guest's escape sequences open no links, and do not name this page.
    ...{ linkHandler: { activate: () => undefined }, screenReaderMode: true },
    theme: { background: "#10151e", foreground: "#e4e9f1" },
  });
  terminal.open(place);
  socket.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer>) => terminal.write(new Uint8Array(data)));
  const send = new TextEncoder();
  if (mayType) terminal.onData((text) => socket.send(send.encode(text)));
  return { focus: () => terminal.focus(), blur: () => terminal.blur(), close: () => terminal.dispose() };
}

let areStylesAdopted = false;

/**
 * Has the styles that xterm.js makes be adopted as style sheets: it writes them into elements `style` and attributes `style`, which the
 * policy of the pages forbids, since a guest could have them written there too.
 */
function adoptStyles(): void {
  if (areStylesAdopted) return;
  areStylesAdopted = true;
  addSheet(terminalStyle);
  const create = document.createElement.bind(document) as (
    name: string,
    options?: ElementCreationOptions,
  ) => HTMLElement;
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    if (name === "style") return makeStyle(create);
    const element = create(name, options);
    if (name !== "span") return element;
    const set = element.setAttribute.bind(element);
    element.setAttribute = (attribute, value) => {
      if (attribute === "style") element.style.cssText = value;
      else set(attribute, value);
    };
    return element;
  }) as typeof document.createElement;
}

/** Makes an element whose text is a style sheet as long as it is in the page. */
function makeStyle(create: (name: string) => HTMLElement): HTMLElement {
  const element = create("template");
  let sheet = addSheet("");
  const remove = () => (document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet));
  Object.defineProperty(element, "textContent", {
    set: (text: string) => {
      remove();
      sheet = addSheet(text);
    },
  });
  element.remove = () => {
    remove();
    Element.prototype.remove.call(element);
  };
  return element;
}

function addSheet(text: string): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return sheet;
}
