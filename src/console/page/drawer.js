// One warning, whole: what, why, who, by when, and from which records.
import { word, has, name, said, number, unit as unitWord, time, span, english } from "./words.js";
import { make, shape } from "./draw.js";

const drawer = document.getElementById("drawer");
const shade = document.getElementById("shade");
let shown = null;
let nowInLog = Date.now;
let turn = 0;

export const drawerId = () => shown;

export function closeDrawer() {
  shown = null;
  drawer.hidden = true;
  shade.hidden = true;
  document.body.classList.remove("drawer-open");
}

export async function openDrawer(id, now) {
  nowInLog = now;
  const first = shown === null;
  shown = id;
  await refreshDrawer();
  if (shown !== id) return;
  drawer.hidden = false;
  shade.hidden = false;
  document.body.classList.add("drawer-open");
  drawer.scrollTop = 0;
  if (first) drawer.focus({ preventScroll: true });
}

export async function refreshDrawer() {
  const id = shown;
  const mine = ++turn;
  let answer = null;
  try {
    answer = await fetch(`/api/warnings/${encodeURIComponent(id)}`);
  } catch {
    return;
  }
  if (mine !== turn || shown !== id) return;
  if (!answer.ok) {
    drawer.replaceChildren(head(make("h2", { id: "drawer-name" }, word("detail"))), make("p", { class: "lost" }, word("notfound")));
    return;
  }
  const { warning, changes, state } = await answer.json();
  if (mine !== turn || shown !== id) return;
  const top = drawer.scrollTop;
  drawer.replaceChildren(...render(warning, changes, state));
  drawer.scrollTop = top;
}

function head(...children) {
  const print = make("button", { type: "button", class: "ghost word" }, word("print"));
  print.addEventListener("click", () => window.print());
  const close = make("button", { type: "button", class: "ghost", "aria-label": word("close"), title: word("close") }, "✕");
  close.addEventListener("click", () => drawer.dispatchEvent(new Event("close-drawer")));
  return make("div", { class: "drawer-head" }, ...children, make("span", { class: "drawer-buttons" }, print, close));
}

const section = (title, ...children) => make("section", { class: "part" }, make("h3", {}, word(title)), ...children);

// Pairs of a name and a text; pairs without a text are left out.
function facts(...pairs) {
  const list = make("dl", { class: "facts" });
  for (const [title, value] of pairs) {
    if (value === null || value === undefined || value === "" || value === "—") continue;
    list.append(make("div", {}, make("dt", {}, title), make("dd", {}, value)));
  }
  return list;
}

function due(text) {
  if (!text) return make("span", { class: "quiet" }, "—");
  const now = nowInLog();
  if (now === null) return make("span", { class: "due" }, time(text));
  const left = Date.parse(text) - now;
  return make("span", { class: `due ${left < 0 ? "over" : left < 1800e3 ? "soon" : ""}` }, `${time(text)}  ${word(left < 0 ? "over" : "left", { t: span(left) })}`);
}

function table(columns, lines) {
  return make("div", { class: "table-frame" }, make("table", {},
    make("thead", {}, make("tr", {}, columns.map(([title, side]) => make("th", { scope: "col", class: side }, title)))),
    make("tbody", {}, lines.map((line) => make("tr", {}, line.map((cell, i) => make("td", { class: columns[i][1] }, cell)))))));
}

function render(w, changes, state) {
  const level = w.level;
  const out = [];
  out.push(make("div", { class: `drawer-top ${level} is-${state}` },
    head(make("span", { class: "level big" }, shape(level, 22), make("b", {}, word(`level.${level}`)), make("span", {}, word(`grade.${level}`))),
      make("span", { class: `badge ${w.kind}` }, word(`kind.${w.kind}`)),
      make("span", { class: "badge internal", title: w.note ?? "" }, word("internal")),
      w.status && w.status !== "actual" ? make("span", { class: "badge mode" }, word(`mode.${w.status}`)) : ""),
    make("h2", { id: "drawer-name" }, said(w, "headline") || w.id),
    make("p", { class: "text" }, said(w, "text")),
    w.text_error ? make("p", { class: "note" }, word("d.texterror")) : "",
    w.absent ? make("p", { class: "note" }, word("d.absent")) : "",
    w.partial ? make("p", { class: "note" }, word("d.partial")) : "",
    w.model_failing ? make("p", { class: "note" }, word("d.failing")) : ""));

  const s = w.subject ?? {};
  out.push(section("d.subject", facts(
    [word("d.name"), s.name], [word("d.object"), s.object_id], [word("d.entity"), s.entity_id], [word("d.type"), s.type ?? s.object_type],
    [word("d.region"), name("region", s.region)], [word("d.street"), s.street], [word("d.location"), s.location ?? s.location_id], [word("d.sensor"), s.sensor ?? s.sensor_id],
    [word("d.risk"), s.risk_class], [word("d.tags"), s.tags?.length ? make("span", { class: "tags" }, s.tags.map((t) => make("span", { class: "tag" }, t))) : ""])));

  const unit = unitWord(w.indicator?.unit);
  const readings = w.readings?.length ? w.readings : w.value !== undefined && w.value !== null ? [{ name: "value", value: w.value, bound: w.bound }] : [];
  if (readings.length > 0) {
    out.push(section("d.readings",
      make("div", { class: "readings" }, readings.map((r) => reading(r, unit, level))),
      facts([word("d.window"), w.window ? `${time(w.window.from)} – ${time(w.window.to)}  (${span(Date.parse(w.window.to) - Date.parse(w.window.from))})` : ""], [word("d.segment"), w.segment])));
  }

  const timed = w.deadlines ?? [...changes].reverse().find((c) => c.deadlines)?.deadlines;
  if (timed) {
    out.push(section("d.deadlines", make("div", { class: "dues" },
      [["d.sign", timed.sign_by], ["d.report", timed.first_report_by], ["d.disposal", timed.disposal_by]].map(([title, at]) => make("div", {}, make("span", { class: "quiet" }, word(title)), due(at)))),
      timed.clock ? make("p", { class: "quiet small" }, word(`clock.${timed.clock}`)) : ""));
  }

  const d = w.departments ?? {};
  const joint = w.joint_assessment;
  out.push(section("d.departments", make("ul", { class: "departments" },
    d.lead ? make("li", { class: "leads" }, make("span", { class: "role" }, word("d.lead")), make("b", {}, name("department", d.lead.branch ?? d.lead)), make("span", { class: "why" }, d.lead.step ? make("span", { class: "badge" }, word("d.step", { n: d.lead.step })) : "", said(d.lead, "why") || (english ? "" : (d.lead.why_zh ?? "")))) : "",
    (d.assist ?? []).map((a) => make("li", {}, make("span", { class: "role" }, word("d.assist")), make("b", {}, name("department", a)), make("span", { class: "why" }, said(a, "why")))),
    d.territory ? make("li", {}, make("span", { class: "role" }, word("d.territory")), make("b", {}, said(d.territory, "name") || d.territory.region), make("span", { class: "why" }, said(d.territory, "duty"))) : ""),
    joint?.required || joint?.on_request ? facts([word("d.joint"), `${word(joint.required ? "d.joint.required" : "d.joint.request")}${joint.by ? ` · ${word("d.by", { t: time(joint.by) })}` : ""}${said(joint, "why") ? ` · ${said(joint, "why")}` : ""}`]) : "",
    w.told?.length ? facts([word("d.told"), make("span", { class: "tags" }, w.told.map((t) => make("span", { class: "tag" }, `${name("department", t.dept ?? t)}${t.region ? ` · ${name("region", t.region)}` : ""}`)))]) : ""));

  if (w.plan?.steps?.length) {
    out.push(section("d.plan", make("p", { class: "quiet small" }, `${said(w.plan, "name")}  ${w.plan.id ?? ""}`),
      make("ol", { class: "steps" }, w.plan.steps.map((step) => make("li", {},
        make("div", {}, said(step, "do")),
        make("div", { class: "step-under" }, make("b", {}, step.by === "lead" ? name("department", d.lead) : name("department", step.by)),
          step.with?.length ? make("span", {}, `${word("d.with")} ${step.with.map((x) => name("department", x)).join(english ? ", " : "、")}`) : "",
          step.due ? due(step.due) : make("span", { class: "quiet" }, step.within ?? "")))))));
  }

  const evidence = w.evidence ?? [];
  if (evidence.length > 0 || w.evidence_total) {
    out.push(section("d.evidence", make("p", { class: "quiet small" }, word("d.evidence.count", { n: w.evidence_total ?? evidence.length, m: evidence.length })),
      table([[word("d.time"), "fixed"], [word("d.source"), ""], [word("d.record"), ""], [word("d.read"), "wide"]], evidence.map((e) => [
        time(e.occurred_at, "full"),
        [has(`record.${e.kind}`) ? word(`record.${e.kind}`) : (e.kind ?? ""), make("div", { class: "quiet small" }, name("department", e.source_dept))],
        [make("code", {}, e.record_id ?? ""), make("div", { class: "quiet small" }, `${e.source_system ?? ""}${e.revision > 1 ? ` · r${e.revision}` : ""}`)],
        values(e)]))));
  }

  out.push(section("d.history", make("ol", { class: "history" }, [...changes].reverse().map((c) => make("li", { class: c.level },
    shape(c.level, 14), make("span", { class: "when" }, time(c.occurred, "full")),
    make("span", { class: `badge ${c.kind}` }, word(`kind.${c.kind}`)),
    make("span", {}, c.was && c.was !== c.level ? `${word(`level.${c.was}`)} → ${word(`level.${c.level}`)}` : word(`level.${c.level}`)),
    make("span", { class: "quiet" }, c.value === null || c.value === undefined ? "" : `${number(c.value)}${c.bound === null || c.bound === undefined ? "" : ` / ${number(c.bound)}`} ${unit}`))))));

  if (w.indicator?.basis?.length) {
    out.push(section("d.basis", make("ul", { class: "basis" }, w.indicator.basis.map((b) => make("li", {}, `${b.name ?? ""} ${b.number ?? ""}`, b.status ? make("span", { class: "badge" }, word(`basis.${b.status}`)) : "")))));
  }
  out.push(section("d.trace", facts(
    [word("d.indicator"), `${said(w.indicator, "name")}  ${w.indicator?.id ?? ""}`], [word("d.id"), make("code", {}, w.id)],
    [word("d.pack"), w.pack ? make("code", {}, `v${w.pack.version} ${String(w.pack.hash ?? "").slice(0, 12)}`) : ""],
    [word("d.log"), w.log ? word("d.partition", { p: w.log.partition, a: w.log.first, b: w.log.last }) : ""],
    [word("d.cause"), w.cause ? make("code", {}, w.cause) : ""], [word("d.found"), time(w.found, "full")])));
  out.push(make("p", { class: "foot quiet small" }, word("internal.note")));
  return out;
}

// A measure as a bar: the bound is a line at two thirds, the value runs towards it or past it.
function reading(r, unit, level) {
  const box = make("div", { class: "reading" }, make("span", { class: "quiet" }, r.name === "value" ? word("d.value") : r.name));
  const has = (x) => x !== null && x !== undefined;
  box.append(make("span", { class: "figure" }, make("b", {}, number(r.value)), has(r.bound) ? make("span", { class: "quiet" }, ` / ${word("d.bound")} ${number(r.bound)}`) : "", unit && r.name === "value" ? make("span", { class: "unit" }, ` ${unit}`) : ""));
  if (has(r.value) && has(r.bound) && r.bound > 0 && r.value >= 0) {
    const meter = make("meter", { min: 0, max: Math.max(r.bound * 1.5, r.value), value: r.value, class: level, "aria-hidden": "true" });
    box.append(meter);
  }
  return box;
}

function values(e) {
  const pairs = Object.entries(e.values ?? {});
  if (pairs.length === 0) return make("span", { class: "quiet" }, said(e, "summary") || "—");
  return [said(e, "summary") ? make("div", {}, said(e, "summary")) : "", make("span", { class: "tags" }, pairs.map(([k, v]) => make("span", { class: "tag" }, `${k} = ${typeof v === "object" && v !== null ? JSON.stringify(v) : v}`)))];
}
