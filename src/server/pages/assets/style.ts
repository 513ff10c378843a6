/** The colours of pages; both sets have a contrast of at least 4.5 to 1 for text (WCAG 2.2, 1.4.3). */
const COLOURS = `
:root { color-scheme: light dark;
  --back: #f5f6f8; --card: #ffffff; --text: #1b2330; --muted: #566173; --line: #d9dee6; --accent: #1d5fbf; --accent-text: #ffffff;
  --good: #17693a; --warn: #8a5300; --bad: #b3261e; --good-back: #e2f4e8; --warn-back: #fdf0d9; --bad-back: #fbe4e2; --calm-back: #e6ecf5;
  --bar: #161d2b; --bar-text: #dfe5ef; --shadow: 0 1px 2px #10182814, 0 1px 6px #1018280d; }
@media (prefers-color-scheme: dark) { :root {
  --back: #0f141c; --card: #171e29; --text: #e4e9f1; --muted: #9aa7ba; --line: #2a3443; --accent: #7eb2ff; --accent-text: #0c1524;
  --good: #6fd49a; --warn: #f0b95c; --bad: #ff8f86; --good-back: #14301f; --warn-back: #36270d; --bad-back: #3d1916; --calm-back: #1f2a3a;
  --bar: #0a0e15; --shadow: none; } }`;

const LAYOUT = `
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
a { color: var(--accent); text-underline-offset: .15em; } a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; z-index: 9; }
.bar { background: var(--bar); color: var(--bar-text); display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; padding: .55rem 1.25rem; }
.bar a { color: inherit; text-decoration: none; padding: .3rem .1rem; border-bottom: 2px solid transparent; }
.bar a:hover { border-color: #8fa4c4; } .bar a[aria-current] { border-color: #7eb2ff; color: #fff; }
.bar .brand { font-weight: 700; font-size: 1.1rem; letter-spacing: .02em; color: #fff; margin-right: .5rem; }
.bar nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; flex: 1; } .bar form { display: flex; gap: 1rem; align-items: center; }
.bar button { background: none; border: 1px solid #4a5a75; color: inherit; padding: .2rem .7rem; }
main { max-width: 78rem; margin: 0 auto; padding: 1.25rem; } main > * + *, .live > * + *, form.card > * + * { margin-top: 1rem; } form.grid > * + * { margin-top: 0; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: .25rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin: 0 0 .6rem; }
h3 { font-size: .95rem; margin: 1rem 0 .4rem; } .muted { color: var(--muted); } .small { font-size: .88rem; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.15rem; box-shadow: var(--shadow); }
.row { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center; } .row.top { justify-content: space-between; align-items: flex-start; }
.columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); align-items: start; } .columns > * { min-width: 0; }
.tiles { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .7rem 1rem; text-decoration: none; color: inherit; display: block; box-shadow: var(--shadow); }
a.tile:hover { border-color: var(--accent); } .tile b { display: block; font-size: 1.55rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.notice { border-left: 4px solid var(--accent); background: var(--calm-back); padding: .7rem 1rem; border-radius: .3rem; overflow-wrap: anywhere; }
.notice.bad { border-color: var(--bad); background: var(--bad-back); color: var(--text); font-weight: 400; }
footer { max-width: 78rem; margin: 0 auto; padding: .5rem 1.25rem 1.5rem; color: var(--muted); font-size: .85rem; }`;

const PARTS = `
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--muted); font-size: .85rem; }
td, th { padding: .38rem .8rem .38rem 0; vertical-align: top; border-bottom: 1px solid var(--line); } tr:last-child > td { border-bottom: 0; }
tbody tr:last-child > * { border-bottom: 0; } td { overflow-wrap: anywhere; } .word { overflow-wrap: normal; white-space: nowrap; } .wide { overflow-x: auto; } .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
table.facts th { width: 9rem; font-weight: 500; font-size: inherit; } table.list tbody tr:hover { background: var(--calm-back); }
code, .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; overflow-wrap: anywhere; } td.code { white-space: pre-wrap; }
.badge { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; font-size: .82rem; font-weight: 600; background: var(--calm-back); white-space: nowrap; }
.badge.finished { background: var(--good-back); color: var(--good); } .badge.failed, .badge.lost, .badge.malicious { background: var(--bad-back); color: var(--bad); }
.badge.running, .badge.suspicious { background: var(--warn-back); color: var(--warn); } .badge.inconspicuous { background: var(--good-back); color: var(--good); }
.badge.cancelled, .badge.waiting { color: var(--muted); }
#verdict .score { font-size: 2rem; font-weight: 700; } #verdict .malicious { color: var(--bad); } #verdict .suspicious { color: var(--warn); }
#verdict .inconspicuous { color: var(--good); } #verdict p:first-child { margin: 0 0 .5rem; }
ul.tree, ul.tree ul { list-style: none; margin: 0; padding-left: 1.1rem; border-left: 1px solid var(--line); } ul.tree { padding-left: .3rem; border: 0; } ul.tree li { padding: .12rem 0; }
.shots { display: flex; gap: .75rem; overflow-x: auto; padding-bottom: .4rem; } .shots img { height: 11rem; border: 1px solid var(--line); border-radius: .3rem; display: block; }
ol.steps { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem; padding: 0; margin: 0; } ol.steps li { padding: .15rem .7rem; border-radius: 1rem; background: var(--calm-back); color: var(--muted); font-size: .86rem; }
ol.steps li.done { color: var(--text); } ol.steps li[aria-current] { background: var(--accent); color: var(--accent-text); font-weight: 600; }
iframe { width: 100%; height: 80vh; border: 1px solid var(--line); border-radius: .5rem; background: Canvas; } summary { cursor: pointer; }
.screen { height: min(70vh, 48rem); background: #10151e; border-radius: .4rem; overflow: hidden; } .screen[hidden], .console[hidden] { display: none; } .screen, .console { margin: .6rem 0; }
.console { background: #10151e; border-radius: .4rem; padding: .6rem; overflow-x: auto; } button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; max-height: 20rem; overflow: auto; } pre.hex { white-space: pre; overflow-wrap: normal; max-height: 70vh; }
.events { max-height: 60vh; overflow: auto; } .tabs { display: flex; gap: 1rem; border-bottom: 1px solid var(--line); } .tabs a { padding: .3rem .2rem; text-decoration: none; }
.timeline { min-width: 46rem; width: 100%; height: auto; display: block; } .timeline text { font: 11px system-ui, sans-serif; fill: var(--text); } .timeline .lane rect { fill: var(--accent); } .timeline .through { pointer-events: none; }
.timeline .moment { fill: transparent; } .timeline .moment:hover { fill: var(--calm-back); }
.tabs a[aria-current] { border-bottom: 3px solid var(--accent); color: var(--text); font-weight: 600; }`;

const FORMS = `
label, legend { font-weight: 600; font-size: .9rem; } .field { display: flex; flex-direction: column; gap: .25rem; min-width: 0; } .hint { font-size: .83rem; color: var(--muted); }
input, select, textarea { font: inherit; color: inherit; background: var(--card); border: 1px solid #8291a8; border-radius: .35rem; padding: .38rem .55rem; width: 100%; min-width: 0; }
input[type=checkbox] { width: auto; } input[type=file] { padding: .5rem; } fieldset { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .9rem; margin: 0; } fieldset > label { display: inline-block; white-space: nowrap; margin-right: .6rem; }
.grid { display: grid; gap: .9rem 1.1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); align-items: start; }
.group { grid-column: 1 / -1; } .field.act { padding-top: 1.6rem; } .field.act button { align-self: start; }
button, .button { font: inherit; white-space: nowrap; flex: none; font-weight: 600; display: inline-block; padding: .4rem .95rem; border-radius: .4rem; border: 1px solid #8291a8; background: var(--card); color: var(--text); cursor: pointer; text-decoration: none; line-height: 1.4; }
button:hover, .button:hover { border-color: var(--accent); } button.main { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button.danger { color: var(--bad); border-color: var(--bad); } button:disabled { opacity: .6; cursor: wait; } form.inline { display: inline-flex; gap: .5rem; align-items: center; } form.inline input { width: 7rem; }
.drop { border: 2px dashed #8291a8; border-radius: .6rem; padding: 1.6rem 1rem; text-align: center; background: var(--calm-back); } .drop.over { border-color: var(--accent); border-style: solid; }
.drop input { max-width: 26rem; margin: .5rem auto 0; } progress { width: 100%; height: .8rem; accent-color: var(--accent); } .narrow { max-width: 25rem; margin: 8vh auto 0; }
@media (max-width: 40rem) { main { padding: .8rem; } table.list thead { display: none; } table.list tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); } table.list td { display: inline-block; border: 0; padding: .1rem .6rem .1rem 0; } }`;

/** The style of all pages. */
export const STYLE = `${COLOURS}${LAYOUT}${PARTS}${FORMS}\n`;
