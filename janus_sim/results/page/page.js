"use strict";
// The table sorts by a column: values first, words after them, what is empty last.
{
  const table = document.getElementById("summary");
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  const empty = (value) => value === "" || value === "-";
  heads.forEach((head, column) => {
    if (body.querySelector(`td:nth-child(${column + 1}).n`)) head.classList.add("n");
    head.firstChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [key(row, column), row]);
      rows.sort(([a], [b]) => empty(a) - empty(b) || (down ? -1 : 1) * compare(a, b));
      body.append(...rows.map(([, row]) => row));
    });
  });
}
// Charts are drawn when they come into view; printing draws them all.
{
  const charts = JSON.parse(document.getElementById("data").textContent);
  const unwanted = ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d",
    "sendChartToCloud"];  // a page asks nothing of any network
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: unwanted };
  const draw = (place) => {
    const chart = charts[place.id];
    delete charts[place.id];
    if (chart) Plotly.newPlot(place, chart.data, chart.layout, config);
  };
  const seen = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target));
  }, { rootMargin: "600px" });
  document.querySelectorAll(".chart").forEach((place) => {
    place.style.minHeight = `${charts[place.id].layout.height}px`;
    seen.observe(place);
  });
  window.addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(draw));
}
