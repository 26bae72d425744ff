// Words in the chosen language, and how numbers and times are written.
const asked = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("lang");
export const language = asked === "en" ? "en" : "zh";
export const english = language === "en";

const answer = await fetch(`/assets/${language}.json`);
const dictionary = await answer.json();

// The word of a key with its places filled: word("total", { n: 3 }).
export function word(key, places) {
  let text = dictionary[key] ?? key;
  for (const [name, value] of Object.entries(places ?? {})) text = text.replaceAll(`{${name}}`, String(value));
  return text;
}

export const has = (key) => Object.hasOwn(dictionary, key);

// The name of something that stands as a word or as {id|code, name, name_en}.
export function name(kind, thing) {
  if (thing === null || thing === undefined || thing === "") return "—";
  const id = typeof thing === "string" ? thing : (thing.id ?? thing.code ?? "");
  const [bare, place] = id.split("@");
  const key = `${kind}.${bare}`;
  if (has(key)) return place && has(`region.${place}`) ? `${word(key)} · ${word(`region.${place}`)}` : word(key);
  if (typeof thing === "object") return (english ? thing.name_en : thing.name) || thing.name || id || "—";
  return id;
}

// The Chinese or the English one of two fields, whichever is there.
export const said = (thing, field) => (english ? thing?.[`${field}_en`] : thing?.[field]) || thing?.[field] || "";

// A unit as people say it; units of physics stay as they are.
export const unit = (text) => (has(`unit.${text}`) ? word(`unit.${text}`) : (text ?? ""));

// At most four significant decimals, no exponent.
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  if (Number.isInteger(value)) return value.toLocaleString("en-US", { useGrouping: Math.abs(value) >= 10000 });
  return value.toLocaleString("en-US", { maximumFractionDigits: 4, useGrouping: Math.abs(value) >= 10000 });
}

// Times are shown as the log has them, at +08:00, whatever the zone of the screen.
const parts = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Shanghai", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function time(text, form = "short") {
  const at = Date.parse(text ?? "");
  if (Number.isNaN(at)) return "—";
  const p = Object.fromEntries(parts.formatToParts(at).map((x) => [x.type, x.value]));
  if (form === "clock") return `${p.hour}:${p.minute}:${p.second}`;
  if (form === "full") return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
  return `${p.month}-${p.day} ${p.hour}:${p.minute}`;
}

// A span in its two largest parts.
export function span(milliseconds) {
  const s = Math.max(0, Math.round(Math.abs(milliseconds) / 1000));
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  const joined = (...all) => all.join(english ? " " : "");
  if (d > 0) return h > 0 ? joined(word("t.d", { n: d }), word("t.h", { n: h })) : word("t.d", { n: d });
  if (h > 0) return m > 0 ? joined(word("t.h", { n: h }), word("t.m", { n: m })) : word("t.h", { n: h });
  if (m > 0) return word("t.m", { n: m });
  return word("t.s", { n: s });
}

export function switchLanguage() {
  const next = english ? "zh" : "en";
  localStorage.setItem("lang", next);
  const to = new URL(location.href);
  to.searchParams.set("lang", next);
  location.assign(to);
}
