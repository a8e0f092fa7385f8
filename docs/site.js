// What the theme leaves out: a name for its search, and the Tab key's way to a table that scrolls sideways.
const name_and_reach = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((wrap) => { wrap.tabIndex = 0; });
};
new MutationObserver(name_and_reach).observe(document, { childList: true, subtree: true });
name_and_reach();
