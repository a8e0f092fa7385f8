// One response to label.
const text = (heading, words) => [element("h4", heading), element("pre", words)];

// What stays in place while responses change, so that the focus stays too and screen readers hear what is new.
const frame = (place, labels) => {
  const button = (key, shown) => element("button", shown, { type: "button", "aria-keyshortcuts": key });
  const keys = element("div", null, { class: "keys" });
  keys.append(
    ...labels.map((label) => button(label[0], `${label[0]} ${label}`)),
    button("Backspace", "⌫ no label"), button("ArrowLeft", "← previous"), button("ArrowRight", "→ next"),
  );
  place.setAttribute("role", "group");
  place.tabIndex = 0;
  place.append(element("p", "", { role: "status" }), keys, element("div", null, { class: "texts" }));
};

export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector(".item");
  const isNew = !place.firstChild;
  if (isNew) frame(place, data.labels);
  // Until the page shows what a key did, no other key counts: nobody labels a response before seeing it.
  place.removeAttribute("aria-busy");
  const give = (what) => {
    if (place.hasAttribute("aria-busy")) return;
    place.setAttribute("aria-busy", "true");
    setTriggerValue("given", { item: data.item, shown: data.label, ...what });
  };
  const actions = new Map(data.labels.map((label) => [label[0], () => give({ label, step: 1 })]));
  actions.set("Backspace", () => give({ label: "", step: 0 }));
  if (!data.first) actions.set("ArrowLeft", () => give({ step: -1 }));
  if (!data.last) actions.set("ArrowRight", () => give({ step: 1 }));
  for (const button of place.querySelectorAll("button")) {
    const key = button.getAttribute("aria-keyshortcuts");
    const label = data.labels.find((name) => name[0] === key);
    if (label) button.setAttribute("aria-pressed", String(label === data.label));
    button.setAttribute("aria-disabled", String(!actions.has(key)));
    button.onclick = () => actions.get(key)?.();
  }
  place.setAttribute("aria-label", data.said);
  place.querySelector("[role=status]").textContent = data.said;
  place.querySelector(".texts").replaceChildren(...text("Prompt", data.prompt), ...text("Response", data.response));
  // Keys count where the response or nothing at all has the focus; who types elsewhere is not interrupted.
  const pressed = (event) => {
    const here = place.contains(place.getRootNode().activeElement);
    const action = actions.get(event.key.length === 1 ? event.key.toUpperCase() : event.key);
    if (!here && !(action && document.activeElement === document.body)) return;
    // Streamlit runs the page again at R, and offers to empty its cache at C.
    event.stopPropagation();
    if (!action || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    event.preventDefault();
    action();
  };
  place.stopListening?.();
  const stopListening = () => document.removeEventListener("keydown", pressed, { capture: true });
  place.stopListening = stopListening;
  document.addEventListener("keydown", pressed, { capture: true });
  // Keys act at once, but nobody who types elsewhere is interrupted.
  if (isNew && !document.activeElement?.matches("input, textarea")) place.focus({ preventScroll: true });
  if (place.getBoundingClientRect().top < 0) place.scrollIntoView();
  return stopListening;
}
