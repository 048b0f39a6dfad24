"use strict";
// Tables that sort by a click on a heading, and a filter that also selects what the figures of its section show.
// Without JavaScript, the page is complete, in its original order.

const NONE = "–";

function value(cell) {
  return "v" in cell.dataset ? Number(cell.dataset.v) : Number.parseFloat(cell.textContent);
}

/** Compare the cells of two rows; cells without a value come last in both directions. */
function compare(first, second, column, isNumber, sign) {
  const [a, b] = [first.cells[column], second.cells[column]];
  const [noA, noB] = [a, b].map((cell) => cell.textContent === NONE);
  if (noA || noB) return noA - noB;
  if (isNumber) return sign * (value(a) - value(b));
  return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
}

function sortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length < 2) return;
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const isNumber = heading.classList.contains("number");
    const order = isNumber ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const next = order[(order.indexOf(heading.getAttribute("aria-sort")) + 1) % 3];
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      if (next === "none") return body.append(...original);
      heading.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      return body.append(...[...original].sort((a, b) => compare(a, b, column, isNumber, sign)));
    });
  });
}

function labelled(text, control) {
  const label = document.createElement("label");
  label.append(text, " ", control);
  return label;
}

/** Return a list of the column's values, or null if it has one value or very many. */
function choice(heading, rows) {
  const values = [...new Set(rows.map((row) => row.cells[heading.cellIndex].textContent))];
  if (values.length < 2 || values.length > 30) return null;
  const select = document.createElement("select");
  select.append(new Option("all", ""), ...values.map((text) => new Option(text)));
  select.dataset.column = heading.cellIndex;
  return select;
}

function filterable(table, section) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < (table.dataset.figures ? 4 : 15)) return;
  const bar = document.createElement("div");
  const words = document.createElement("input");
  const shown = document.createElement("output");
  words.type = "search";
  const chosen = [...table.querySelectorAll("th[data-choice]")].map((heading) => [heading, choice(heading, rows)]);
  const lists = chosen.filter(([, select]) => select).map(([heading, select]) => {
    bar.append(labelled(heading.textContent.trim(), select));
    return select;
  });
  bar.className = "filter";
  bar.setAttribute("role", "search");
  bar.prepend(labelled("Rows with the words", words));
  bar.append(shown);

  bar.addEventListener("input", () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (row) => {
      const text = [...row.cells].map((cell) => cell.textContent).join("\n").toLowerCase();
      return wanted.every((word) => text.includes(word))
        && lists.every((list) => !list.value || row.cells[list.dataset.column].textContent === list.value);
    };
    rows.forEach((row) => row.classList.toggle("off", !matches(row)));
    const left = rows.filter((row) => !row.classList.contains("off"));
    const all = left.length === rows.length;
    shown.value = all ? "" : `${left.length} of ${rows.length} rows${table.dataset.figures ? ", also in the figures" : ""}`;
    if (table.dataset.figures) select(section, new Set(left.map((row) => row.dataset.g)));
  });
  table.parentElement.before(bar);
}

/** Show the parts of the section's figures that belong to at least one of the places. */
function select(section, places) {
  section.querySelectorAll(".figures [data-g]").forEach((part) => {
    part.classList.toggle("off", !part.dataset.g.split(" ").some((place) => places.has(place)));
  });
}

document.querySelectorAll("section").forEach((section) => {
  section.querySelectorAll("table:not(.confusion)").forEach((table) => {
    filterable(table, section);
    sortable(table);
  });
});
