"use strict";
// Sets the chosen theme before the first paint. A plain script: it must not wait for modules.
(() => {
  try {
    const theme = localStorage.getItem("haloflow-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    delete document.documentElement.dataset.theme; // storage is blocked: follow the system
  }
})();
