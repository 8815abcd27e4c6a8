// The colour scheme: the system's until somebody chooses. Runs before the first paint so that nothing flashes.
(() => {
  "use strict";
  const names = ["auto", "light", "dark"];
  const root = document.documentElement;
  let now = "auto";
  try {
    const kept = localStorage.getItem("osgp-theme");
    if (names.includes(kept)) now = kept;
  } catch { /* storage may be switched off; the choice then lasts for this page */ }

  const apply = () => {
    if (now === "auto") delete root.dataset.theme;
    else root.dataset.theme = now;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${now}`;
    document.dispatchEvent(new Event("osgp:theme"));
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme")?.addEventListener("click", () => {
      now = names[(names.indexOf(now) + 1) % names.length];
      try { localStorage.setItem("osgp-theme", now); } catch { /* as above */ }
      apply();
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
