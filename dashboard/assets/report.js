"use strict";
// Draws figures when they come into view, sorts tables. Data come from #report-data alone.
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      gridcolor: colour("--grid"), linecolor: colour("--axis"), tickcolor: colour("--axis"),
    };
    const result = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--ink") },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--accent") },
      hoverlabel: { bgcolor: colour("--paper"), bordercolor: colour("--axis"), font: { color: colour("--ink") }, align: "left" },
    };
    result.updatemenus = (layout.updatemenus || []).map((menu) => ({
      ...menu, bgcolor: colour("--paper"), bordercolor: colour("--axis"), font: { color: colour("--ink") },
    }));
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis/.test(key)) result[key] = { ...axis, ...layout[key] };
    }
    if (layout.ternary) {
      result.ternary = { ...layout.ternary, bgcolor: "rgba(0,0,0,0)" };
      for (const key of ["aaxis", "baxis", "caxis"]) result.ternary[key] = { ...axis, ...layout.ternary[key] };
    }
    return result;
  }

  const drawn = new Map();
  function draw(element) {
    if (element.dataset.figure) {
      drawn.set(element, () => draw(element));
      const { data: traces, layout } = data.figures[element.dataset.figure];
      const image = { format: "svg", filename: `haloflow-${element.dataset.figure}` };
      Plotly.react(element, traces, themed(layout), { ...config, toImageButtonOptions: image });
    } else {
      const view = new StructureView(element, data.scenes[element.dataset.scene]);
      drawn.set(element, () => view.draw());
    }
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "400px" });
  const all = document.querySelectorAll("[data-figure], [data-scene]");
  all.forEach((element) => watcher.observe(element));

  const redraw = () => drawn.forEach((again) => again());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
    all.forEach((element) => { if (!drawn.has(element)) draw(element); });
  });

  function openTarget() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();

  // A cell's sort key is data-key (a number, or nothing for unknown), else its text.
  function sortBy(header) {
    const column = header.cellIndex;
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of header.parentElement.cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    header.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.key;
    const compare = (a, b) => {
      if (key(a) === undefined) {
        return sign * a.cells[column].textContent.trim().localeCompare(b.cells[column].textContent.trim());
      }
      if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
      return sign * (Number(key(a)) - Number(key(b)));
    };
    for (const body of header.closest("table").tBodies) {
      if (body.classList.contains("separator")) continue;
      body.append(...[...body.rows].sort(compare));
    }
  }
  document.querySelectorAll("th[aria-sort] button").forEach((button) => {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  });
})();
