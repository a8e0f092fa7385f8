// The list of prompts. Only the rows on the screen are drawn, and only those around them are sent.
const SPARE = 4; // rows drawn above and below the screen
const PAUSE = 100; // milliseconds of rest after which rows that were never sent are asked for

const head = (column) => {
  const made = element("th", null, { scope: "col", class: column.kind });
  if (column.sorted) made.setAttribute("aria-sort", column.sorted);
  const button = element("button", column.head, { type: "button", title: column.help, "data-head": column.head });
  const arrow = { ascending: "▲", descending: "▼" }[column.sorted];
  if (arrow) button.append(element("span", ` ${arrow}`, { "aria-hidden": "true" }));
  made.append(button);
  return made;
};

const line = (number, row, columns) => {
  const made = element("tr", null, { "aria-rowindex": String(number + 2) });
  if (!row) return made;
  made.dataset.prompt = row.prompt;
  columns.forEach(({ kind }, place) => {
    const cell = made.insertCell();
    cell.className = kind;
    const shown = element("span", row.cells[place], { class: "cut" });
    if (place > 0) return cell.append(shown);
    const button = element("button", null, { type: "button", tabindex: "-1" });
    button.append(shown);
    cell.append(button);
  });
  return made;
};

// What stays in place while the page runs again: where the list stands, and what has the focus.
const frame = (place) => {
  const table = element("table");
  const space = () => element("tbody", null, { class: "space", "aria-hidden": "true" });
  const [above, body, below] = [space(), element("tbody"), space()];
  table.append(element("caption", "Prompts"), element("colgroup"), element("thead"), above, body, below);
  place.append(table);
  place.tabIndex = -1;
  for (const side of [above, below]) side.insertRow().insertCell();
  const high = (side, pixels) => { side.hidden = !pixels; side.rows[0].style.height = `${pixels}px`; };
  return { table, body, sent: new Map(), drawn: new Map(), at: 0, high: (top, bottom) => { high(above, top); high(below, bottom); } };
};

const lists = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector(".prompts");
  if (!lists.has(place)) lists.set(place, frame(place));
  const list = lists.get(place);
  const { table, body, sent, drawn } = list;
  const last = data.total - 1;
  let rest = null;

  // A row that is still on its way gets the focus when it is here; until then the list has it, and the keys.
  const focusRow = () => (drawn.get(list.at)?.querySelector("button") ?? place).focus({ preventScroll: true });

  const draw = () => {
    const top = Math.max(0, Math.floor(place.scrollTop / data.height) - SPARE);
    const end = Math.min(last, Math.ceil(place.scrollTop / data.height) + data.shown + SPARE);
    for (const [number, made] of drawn) {
      if (number < top || number > end || (!made.dataset.prompt && sent.has(number))) {
        if (made.contains(place.getRootNode().activeElement)) place.focus({ preventScroll: true });
        made.remove();
        drawn.delete(number);
      }
    }
    for (let number = top, next = body.rows[0]; number <= end; number += 1) {
      if (!drawn.has(number)) {
        drawn.set(number, line(number, sent.get(number), data.columns));
        body.insertBefore(drawn.get(number), next ?? null);
      }
      next = drawn.get(number).nextElementSibling;
    }
    list.high(top * data.height, (last - Math.max(end, top - 1)) * data.height);
    for (const [number, made] of drawn) {
      const button = made.querySelector("button");
      if (!button) continue;
      button.tabIndex = number === Math.min(Math.max(list.at, top), end) ? 0 : -1;
      if (made.dataset.prompt === data.open) made.setAttribute("aria-current", "true");
      else made.removeAttribute("aria-current");
    }
    if (place.getRootNode().activeElement === place && drawn.get(list.at)?.dataset.prompt) focusRow();
    const lacking = [...drawn].find(([, made]) => !made.dataset.prompt);
    clearTimeout(rest);
    if (lacking) rest = setTimeout(() => setTriggerValue("wanted", lacking[0]), PAUSE);
  };

  const reach = (number) => {
    list.at = Math.min(Math.max(number, 0), last);
    const [top, below] = [list.at * data.height, (list.at + 1) * data.height + table.tHead.offsetHeight - place.clientHeight];
    place.scrollTop = Math.max(Math.min(place.scrollTop, top), below);
    draw();
    focusRow();
  };

  if (list.version !== data.version) {
    const focused = body.contains(place.getRootNode().activeElement);
    for (const known of [sent, drawn]) known.clear();
    body.replaceChildren();
    Object.assign(list, { version: data.version, at: 0 });
    place.scrollTop = 0;
    if (focused) requestAnimationFrame(() => reach(0));
  }
  data.rows.forEach((row, number) => sent.set(data.first + number, row));
  const heads = JSON.stringify(data.columns);
  if (list.heads !== heads) {
    const focused = [...table.tHead.querySelectorAll("button")].indexOf(place.getRootNode().activeElement);
    list.heads = heads;
    table.tHead.replaceChildren(element("tr", null, { "aria-rowindex": "1" }));
    table.tHead.rows[0].append(...data.columns.map(head));
    table.querySelector("colgroup").replaceChildren(...data.columns.map(({ width }, number) => {
      const made = element("col");
      if (number) made.style.width = `${width}px`;
      return made;
    }));
    table.style.minWidth = `${data.columns.reduce((sum, { width }) => sum + width, 0)}px`;
    table.tHead.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  }
  table.setAttribute("aria-rowcount", String(data.total + 1));
  place.style.setProperty("--row-height", `${data.height}px`);
  place.style.setProperty("--rows-shown", data.shown);
  table.tHead.onclick = (event) => {
    const name = event.target.closest("button")?.dataset.head;
    if (name) setTriggerValue("ordered", name);
  };
  body.onclick = (event) => {
    const row = event.target.closest("tr");
    if (!row?.dataset.prompt) return;
    list.at = Number(row.getAttribute("aria-rowindex")) - 2;
    setTriggerValue("opened", row.dataset.prompt);
    draw();
  };
  // The list is one step of the Tab key. Arrows move within it.
  place.onkeydown = (event) => {
    if (table.tHead.contains(event.target)) return;
    const page = Math.max(1, Math.floor(place.clientHeight / data.height) - 1);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -data.total, End: data.total };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    reach(list.at + steps[event.key]);
  };
  place.onscroll = draw;
  draw();
  return () => clearTimeout(rest);
}
