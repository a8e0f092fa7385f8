// Grids of decisions.
const button = (cell, open) => {
  const made = element("button", cell.letter, {
    type: "button", "aria-label": cell.says, title: cell.says, "data-key": cell.key, class: cell.side,
    "aria-pressed": String(cell.side !== ""),
  });
  made.style.backgroundColor = cell.fill;
  made.style.color = cell.ink;
  if (cell.kind !== "decided") made.classList.add(cell.kind);
  for (const side of cell.side.split(" ").filter(Boolean)) {
    made.append(element("span", side === "left" ? "◀" : "▶", { class: `mark ${side}`, "aria-hidden": "true" }));
  }
  made.onclick = (event) => open(cell.key, event.shiftKey);
  return made;
};

const table = (grid, open) => {
  const made = element("table", null, { role: "grid" });
  made.append(element("caption", `Decisions of ${grid.label}: a row for each temperature, a column for each seed`));
  const head = made.createTHead().insertRow();
  head.append(element("th", "T \\ seed", { scope: "col" }));
  for (const seed of grid.seeds) head.append(element("th", seed, { scope: "col" }));
  const body = made.createTBody();
  for (const row of grid.rows) {
    const line = body.insertRow();
    line.append(element("th", row.temperature, { scope: "row" }));
    for (const cell of row.cells) line.insertCell().append(button(cell, open));
  }
  return made;
};

// Arrow keys, Home and End move within a grid; the Tab key goes from one grid to the next.
const neighbour = (cell, key) => {
  const [line, column] = [cell.parentElement, cell.cellIndex];
  const rows = [...line.parentElement.rows];
  const [above, below] = [rows[rows.indexOf(line) - 1], rows[rows.indexOf(line) + 1]];
  const cells = {
    ArrowLeft: line.cells[column - 1], ArrowRight: line.cells[column + 1], ArrowUp: above?.cells[column],
    ArrowDown: below?.cells[column], Home: line.cells[1], End: line.cells[line.cells.length - 1],
  };
  return cells[key]?.querySelector("button");
};

const withKeys = (made, focused) => {
  const buttons = [...made.querySelectorAll("button")];
  const reach = (one) => buttons.forEach((other) => { other.tabIndex = other === one ? 0 : -1; });
  reach(buttons.find((one) => one.dataset.key === focused) ?? buttons.find((one) => one.className.match(/left|right/)) ?? buttons[0]);
  made.addEventListener("focusin", (event) => reach(event.target));
  made.addEventListener("keydown", (event) => {
    const next = neighbour(event.target.closest("td"), event.key);
    if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    next.focus();
  });
  return made;
};

export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector(".grids");
  const focused = parentElement.activeElement?.dataset?.key;
  const open = (key, other) => setTriggerValue("opened", { key, other });
  place.replaceChildren(...data.grids.map((grid) => {
    const section = element("section", null, { "aria-label": grid.label });
    section.append(element("h4", grid.label), ...grid.said.map((line) => element("p", line)), withKeys(table(grid, open), focused));
    return section;
  }));
  if (focused) [...place.querySelectorAll("button")].find((one) => one.dataset.key === focused)?.focus();
}
