// The page: loads the list, follows the stream, and keeps both in step.
import { word, name, said, number, unit, time, span, english, switchLanguage } from "./words.js";
import { make, shape, bar } from "./draw.js";
import { openDrawer, closeDrawer, drawerId, refreshDrawer } from "./drawer.js";

const LEVELS = ["red", "orange", "yellow", "blue"];
const PAGE = 100;
const $ = (id) => document.getElementById(id);

// The filters live in the address, so that a view can be kept and sent.
const address = new URLSearchParams(location.search);
const filter = Object.fromEntries(["level", "industry", "department", "region", "state", "q"].map((k) => [k, address.get(k) ?? ""]));

const rows = new Map(); // id → { row, element }
let next = null; // cursor of what follows
let total = 0;
let run = "";
let seq = 0;
let logTime = null; // milliseconds
let selected = null;
let above = 0;
let source = null;
let lastHeard = 0;

// ---- words of the frame
document.documentElement.lang = english ? "en" : "zh-CN";
document.title = `${word("title")} · ${word("centre")}`;
for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
$("q").placeholder = word("filter.q");
$("q").setAttribute("aria-label", word("filter.q"));
$("language").textContent = word("language");
$("language").title = word("language.label");
$("language").setAttribute("aria-label", word("language.label"));
$("theme").title = word("theme");
$("theme").setAttribute("aria-label", word("theme"));
$("language").addEventListener("click", switchLanguage);
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// ---- the strip of levels
const cards = new Map();
for (const level of LEVELS) {
  const count = make("b", { class: "count" }, "0");
  const cleared = make("span", { class: "cleared" });
  const card = make("button", { type: "button", class: `card ${level}`, "aria-pressed": "false" },
    shape(level, 34),
    make("span", { class: "card-name" }, make("b", {}, word(`level.${level}`)), make("span", {}, word(`grade.${level}`))),
    count, cleared);
  card.addEventListener("click", () => setFilter("level", filter.level === level ? "" : level));
  cards.set(level, { card, count, cleared });
  $("strip").append(card);
}

// ---- filters
function options(select, kind, ids, all = word("filter.all")) {
  const chosen = filter[select.name];
  const wanted = ["", ...ids];
  if (chosen && !wanted.includes(chosen)) wanted.push(chosen);
  if ([...select.options].map((o) => o.value).join() !== wanted.join()) {
    select.replaceChildren(...wanted.map((id) => make("option", { value: id }, id === "" ? all : name(kind, id))));
  }
  select.value = chosen;
}
options($("state"), "state", ["active", "cleared", "closed", "all"], word("state.open"));
$("q").value = filter.q;

function setFilter(field, value) {
  filter[field] = value;
  const to = new URL(location.href);
  if (value) to.searchParams.set(field, value);
  else to.searchParams.delete(field);
  history.replaceState(null, "", to);
  showFilters();
  load();
}
function showFilters() {
  for (const [level, { card }] of cards) card.setAttribute("aria-pressed", String(filter.level === level));
  for (const id of ["state", "industry", "department", "region"]) if ($(id).value !== filter[id]) $(id).value = filter[id];
  $("reset").disabled = !Object.values(filter).some(Boolean);
}
for (const id of ["state", "industry", "department", "region"]) $(id).addEventListener("change", () => setFilter(id, $(id).value));
let typing = 0;
$("q").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => setFilter("q", $("q").value.trim()), 200);
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("reset").addEventListener("click", () => {
  const to = new URL(location.href);
  for (const key of Object.keys(filter)) {
    filter[key] = "";
    to.searchParams.delete(key);
  }
  history.replaceState(null, "", to);
  $("q").value = "";
  showFilters();
  load();
});

// ---- one row
// null until it is known: the wall clock of this screen is not the log's.
const nowInLog = () => logTime;

function deadline(row) {
  const by = row.deadlines?.sign_by;
  if (!by || row.state === "closed") return make("span", { class: "right quiet" }, "—");
  if (nowInLog() === null) return make("span", { class: "right due" }, time(by));
  const left = Date.parse(by) - nowInLog();
  return make("span", { class: `right due ${left < 0 ? "over" : left < 1800e3 ? "soon" : ""}`, title: time(by, "full") }, word(left < 0 ? "over" : "left", { t: span(left) }));
}

function draw(row) {
  const subject = row.subject ?? {};
  const value = row.value === null || row.value === undefined ? null
    : [make("b", {}, number(row.value)), row.bound === null || row.bound === undefined ? "" : make("span", { class: "quiet" }, ` / ${number(row.bound)}`), row.indicator?.unit ? make("span", { class: "unit" }, ` ${unit(row.indicator.unit)}`) : ""];
  const link = make("a", { href: `#${encodeURIComponent(row.id)}`, class: "open" },
    make("span", { class: "headline" }, said(row, "headline") || row.id),
    make("span", { class: "under" },
      make("span", { class: `badge ${row.kind}` }, word(`kind.${row.kind}`)),
      row.status && row.status !== "actual" ? make("span", { class: "badge mode" }, word(`mode.${row.status}`)) : "",
      make("span", { class: "industry" }, name("industry", row.industry)),
      make("span", {}, said(row.indicator, "name")),
      subject.name ? make("span", {}, subject.name) : ""));
  const item = make("li", { class: `row ${row.level} is-${row.state}`, "data-id": row.id },
    make("span", { class: "level" }, shape(row.level, 18), make("b", {}, word(`level.${row.level}`))),
    link,
    make("span", {}, name("region", subject.region)),
    make("span", { class: "lead" }, name("department", row.lead)),
    make("span", { class: "right value" }, value ?? make("span", { class: "quiet" }, "—")),
    deadline(row),
    make("span", { class: "right time", title: time(row.occurred, "full") }, time(row.occurred)));
  item.addEventListener("click", (event) => {
    event.preventDefault();
    select(row.id);
    show(row.id);
  });
  return item;
}

function put(row, where) {
  const old = rows.get(row.id);
  if (old && old.row.seq >= row.seq) return null;
  const element = draw(row);
  if (row.id === selected) element.classList.add("selected");
  old?.element.remove();
  rows.set(row.id, { row, element });
  if (where === "first") $("list").prepend(element);
  else $("list").append(element);
  return element;
}

function holds(row) {
  const one = (wanted, value) => !wanted || wanted.split(",").includes(value);
  const state = filter.state || "open";
  const id = (thing) => (typeof thing === "string" ? thing : (thing?.id ?? thing?.code ?? ""));
  if (state === "open" ? row.state === "closed" : state !== "all" && row.state !== state) return false;
  if (!one(filter.level, row.level) || !one(filter.industry, id(row.industry)) || !one(filter.region, id(row.subject?.region))) return false;
  if (filter.department && !(row.departments ?? []).includes(filter.department)) return false;
  const q = filter.q.toLowerCase();
  if (!q) return true;
  const s = row.subject ?? {};
  return [row.headline, row.headline_en, row.indicator?.id, row.indicator?.name, s.name, s.object_id, s.entity_id, row.id].some((t) => t?.toLowerCase().includes(q));
}

// ---- loading
let loads = 0;
async function load() {
  const turn = ++loads;
  const asked = new URLSearchParams({ limit: PAGE });
  for (const [k, v] of Object.entries(filter)) if (v) asked.set(k, v);
  try {
    const page = await (await fetch(`/api/warnings?${asked}`)).json();
    if (turn !== loads) return;
    rows.clear();
    $("list").replaceChildren();
    setAbove(0);
    for (const row of page.warnings) put(row, "last");
    total = page.total;
    next = page.next;
    if (run !== page.run || seq < page.seq) {
      run = page.run;
      seq = page.seq;
    }
    counted();
    refreshSummary();
    if (source === null) follow();
  } catch {
    if (turn !== loads) return;
    $("total").textContent = word("failed");
    setTimeout(() => turn === loads && load(), 2000);
  }
}
$("more").addEventListener("click", async () => {
  const turn = loads;
  const asked = new URLSearchParams({ limit: PAGE, cursor: next });
  for (const [k, v] of Object.entries(filter)) if (v) asked.set(k, v);
  const page = await (await fetch(`/api/warnings?${asked}`)).json();
  if (turn !== loads) return;
  for (const row of page.warnings) put(row, "last");
  next = page.next;
  counted();
});

function counted() {
  $("total").textContent = word("total", { n: total });
  $("more").hidden = next === null;
  $("blank").hidden = rows.size > 0;
  const filtered = Object.values(filter).some(Boolean);
  $("blank-word").textContent = word(filtered ? "empty" : "quiet");
  $("blank-hint").textContent = filtered ? word("empty.hint") : "";
}

// ---- counts, the light and the bars
let summaryWaits = 0;
function refreshSummary() {
  // Many changes at once ask once: a surge must not become a surge of requests.
  if (summaryWaits) return;
  summaryWaits = setTimeout(async () => {
    summaryWaits = 0;
    try {
      showSummary(await (await fetch("/api/summary")).json());
    } catch {
      light("offline");
    }
  }, 150);
}

function showSummary(s) {
  if (run && s.run !== run) {
    load();
    return;
  }
  for (const [level, { card, count, cleared }] of cards) {
    const { active, cleared: clear } = s.levels[level];
    if (count.textContent !== String(active + clear)) {
      count.textContent = String(active + clear);
      card.classList.remove("beat");
      void card.offsetWidth; // restarts the animation
      card.classList.add("beat");
    }
    card.classList.toggle("none", active + clear === 0);
    cleared.textContent = clear > 0 ? word("cleared.count", { n: clear }) : "";
  }
  options($("industry"), "industry", s.industries.map((x) => x.id));
  options($("department"), "department", s.department_ids);
  options($("region"), "region", s.regions.map((x) => x.id));
  bars($("by-region"), "region", s.regions);
  bars($("by-industry"), "industry", s.industries);
  bars($("by-department"), "department", s.departments);
  if (s.log_time) {
    const first = logTime === null;
    logTime = Date.parse(s.log_time);
    if (first) countDown();
    $("log-time").textContent = time(s.log_time, "full");
    $("lag").textContent = s.log_time_lag_seconds < 10 ? word("t.s", { n: Math.max(0, s.log_time_lag_seconds).toFixed(1) }) : span(s.log_time_lag_seconds * 1000);
  }
  $("records").textContent = number(s.records);
  lastHeard = Date.now();
  $("light").title = (s.not_ready ?? []).join("; ");
  if (source?.readyState === EventSource.OPEN) light(s.ready === false ? "notready" : s.log_time_lag_seconds > 60 ? "stale" : "live");
}

function bars(place, kind, list) {
  const sum = (x) => x.red + x.orange + x.yellow + x.blue;
  const weight = (x) => x.red * 1e6 + x.orange * 1e4 + x.yellow * 100 + x.blue;
  const most = Math.max(1, ...list.map(sum));
  place.replaceChildren(...[...list].sort((a, b) => weight(b) - weight(a)).slice(0, 8).map((x) => {
    const chosen = filter[kind] === x.id;
    const line = make("button", { type: "button", class: "bar-line", "aria-pressed": String(chosen), "aria-label": word("chart.say", { name: name(kind, x.id), red: x.red, orange: x.orange, yellow: x.yellow, blue: x.blue }) },
      make("span", { class: "bar-name" }, name(kind, x.id)), bar(x, most), make("b", {}, sum(x)));
    line.addEventListener("click", () => setFilter(kind, chosen ? "" : x.id));
    return line;
  }));
  if (list.length === 0) place.append(make("p", { class: "quiet" }, "—"));
}

function light(state) {
  $("light").className = `light ${state}`;
  $("light-word").textContent = word(state);
}
light("waiting");

// ---- the stream
function follow() {
  source?.close();
  source = new EventSource(`/api/events?last=${encodeURIComponent(`${run}:${seq}`)}`);
  source.addEventListener("open", refreshSummary);
  source.addEventListener("hello", refreshSummary);
  source.addEventListener("error", () => light("offline"));
  source.addEventListener("reset", () => {
    source.close();
    source = null;
    run = "";
    load();
  });
  source.addEventListener("warning", (event) => {
    const row = JSON.parse(event.data);
    seq = Math.max(seq, row.seq);
    arrived(row);
    refreshSummary();
    if (drawerId() === row.id) refreshDrawer();
  });
}

function arrived(row) {
  const known = rows.get(row.id);
  if (known && known.row.seq >= row.seq) return;
  if (!holds(row)) {
    if (known) {
      known.element.remove();
      rows.delete(row.id);
      total -= 1;
      counted();
    }
    return;
  }
  const frame = $("frame");
  const reading = frame.scrollTop > 40;
  const before = frame.scrollHeight;
  const element = put(row, "first");
  if (!known) total += 1;
  counted();
  if (element === null) return;
  element.classList.add("fresh");
  if (reading) {
    // What somebody reads stays where it is.
    frame.scrollTop += frame.scrollHeight - before;
    setAbove(above + 1);
  }
  if (["raised", "upgraded", "returned"].includes(row.kind)) {
    const text = word("new.say", { kind: word(`kind.${row.kind}`), level: word(`level.${row.level}`), headline: said(row, "headline") });
    $(row.level === "red" ? "say-loud" : "say-polite").textContent = text;
  }
}

function setAbove(n) {
  above = n;
  $("above").hidden = n === 0;
  $("above").textContent = word("new.above", { n });
}
$("above").addEventListener("click", () => $("frame").scrollTo({ top: 0 }));
$("frame").addEventListener("scroll", () => {
  if ($("frame").scrollTop <= 40 && above > 0) setAbove(0);
});

// Log time moves without warnings: ask once a second while the page is seen; and the dues count down with it.
setInterval(() => {
  if (document.visibilityState !== "visible") return;
  refreshSummary();
  if (Date.now() - lastHeard > 10_000) light("offline");
}, 1000);
function countDown() {
  for (const { row, element } of rows.values()) {
    const old = element.querySelector(".due");
    if (old) old.replaceWith(deadline(row));
  }
}
setInterval(countDown, 5000);

// ---- the drawer
function show(id) {
  if (decodeURIComponent(location.hash.slice(1)) !== id) history.pushState(null, "", `#${encodeURIComponent(id)}`);
  openDrawer(id, nowInLog);
}
function hide() {
  closeDrawer();
  const to = new URL(location.href);
  to.hash = "";
  history.replaceState(null, "", to.pathname + to.search);
  rows.get(selected)?.element.querySelector("a.open")?.focus();
}
$("shade").addEventListener("click", hide);
$("drawer").addEventListener("close-drawer", hide);
function fromAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && id !== "list") {
    select(id);
    openDrawer(id, nowInLog);
  } else closeDrawer();
}
addEventListener("popstate", fromAddress);
addEventListener("hashchange", fromAddress);

// ---- keys
function select(id) {
  rows.get(selected)?.element.classList.remove("selected");
  selected = id;
  const element = rows.get(id)?.element;
  element?.classList.add("selected");
  element?.scrollIntoView({ block: "nearest" });
}
function move(by) {
  const ids = [...$("list").children].map((e) => e.dataset.id);
  if (ids.length === 0) return;
  const at = ids.indexOf(selected);
  const to = ids[Math.min(ids.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  select(to);
  if (drawerId()) show(to);
  else rows.get(to)?.element.querySelector("a.open")?.focus({ preventScroll: true });
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (drawerId()) hide();
    else document.activeElement?.blur();
    return;
  }
  if (event.target.closest?.("input, select, textarea")) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") {
    event.preventDefault();
    $("q").focus();
    $("q").select();
  } else if (event.key === "Enter" && selected && !event.target.closest?.("button, a")) show(selected);
});

showFilters();
try {
  showSummary(await (await fetch("/api/summary")).json());
} catch {
  light("offline");
}
await load();
fromAddress();
