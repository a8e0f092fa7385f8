// One response to label. Every text is set as text, never as markup: prompts and responses come from outside.
const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const text = (heading, words) => [element("h4", heading), element("pre", words)];

export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector(".item");
  const give = (what) => setTriggerValue("given", { item: data.item, ...what });
  const actions = new Map(data.labels.map((label) => [label[0], () => give({ label, step: 1 })]));
  actions.set("Backspace", () => give({ label: "", step: 0 }));
  if (!data.first) actions.set("ArrowLeft", () => give({ step: -1 }));
  if (!data.last) actions.set("ArrowRight", () => give({ step: 1 }));
  const button = (key, shown, pressed) => {
    const made = element("button", shown, { type: "button", "aria-keyshortcuts": key });
    if (pressed !== undefined) made.setAttribute("aria-pressed", String(pressed));
    made.disabled = !actions.has(key);
    made.onclick = () => actions.get(key)();
    return made;
  };
  const keys = element("div", null, { class: "keys" });
  keys.append(
    ...data.labels.map((label) => button(label[0], `${label[0]} ${label}`, label === data.label)),
    button("Backspace", "⌫ no label"), button("ArrowLeft", "← previous"), button("ArrowRight", "→ next"),
  );
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", data.said);
  place.tabIndex = 0;
  place.onkeydown = (event) => {
    // Streamlit runs the page again at R, and offers to empty its cache at C.
    event.stopPropagation();
    const action = actions.get(event.key.length === 1 ? event.key.toUpperCase() : event.key);
    if (!action || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    event.preventDefault();
    action();
  };
  place.replaceChildren(
    element("p", data.said, { role: "status" }), keys, ...text("Prompt", data.prompt), ...text("Response", data.response),
  );
  // Keys act at once, but nobody who types elsewhere is interrupted.
  if (!document.activeElement?.matches("input, textarea")) place.focus({ preventScroll: true });
  if (place.getBoundingClientRect().top < 0) place.scrollIntoView();
}
