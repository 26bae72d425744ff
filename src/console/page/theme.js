// Runs before the first paint, so that the page does not flash in the other colours.
const kept = new URLSearchParams(location.search).get("theme") ?? localStorage.getItem("theme");
if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
