"use strict";
(function () {
  for (const holder of document.querySelectorAll("[data-figure]")) {
    const figure = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
    Plotly.newPlot(holder, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  }
  // Paper has a width of its own, whatever the window's; charts must know it before they print.
  function lay(paper) {
    document.body.classList.toggle("paper", paper);
    for (const holder of document.querySelectorAll("[data-figure]")) {
      // Not Plots.resize: it waits, and printing does not.
      Plotly.relayout(holder, paper ? { width: holder.clientWidth } : { autosize: true, width: null });
    }
  }
  addEventListener("beforeprint", () => lay(true));
  addEventListener("afterprint", () => lay(false));

  // Rows that belong to a finding are shown for the chosen one only.
  const owned = [...document.querySelectorAll("tr[data-finding]")];
  const lists = [...document.querySelectorAll("tr[data-row-finding]")];
  function choose() {
    const wanted = new URLSearchParams(location.hash.slice(1)).get("finding");
    const known = lists.map((row) => row.dataset.rowFinding);
    const chosen = known.includes(wanted) ? wanted : known[0];
    for (const row of owned) row.hidden = row.dataset.finding !== chosen;
    for (const row of lists) row.classList.toggle("chosen", row.dataset.rowFinding === chosen);
    if (wanted && wanted === chosen) {
      const first = owned.find((row) => !row.hidden);
      if (first) first.closest(".panel").scrollIntoView({ block: "center" });
    }
  }
  addEventListener("hashchange", choose);
  choose();

  // What hospitals wrote must not run as a formula in the reader's spreadsheet.
  function quoted(cell) {
    const text = cell.textContent.trim();
    return '"' + (/^[=+\-@]/.test(text) ? "'" : "") + text.replaceAll('"', '""') + '"';
  }
  function csv(table) {
    const rows = [...table.rows].filter((row) => !row.hidden);
    const lines = rows.map((row) => [...row.cells].map(quoted).join(","));
    // The mark at the start makes spreadsheet programs read Chinese as UTF-8.
    return "\ufeff" + lines.join("\r\n") + "\r\n";
  }
  for (const button of document.querySelectorAll("button[data-csv]")) {
    button.addEventListener("click", () => {
      const panel = button.closest(".panel");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csv(panel.querySelector("table"))], { type: "text/csv" }));
      link.download = button.dataset.csv;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
})();
