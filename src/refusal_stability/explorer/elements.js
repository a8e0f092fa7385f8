// Stands before every script of the page. Text is set as text, never as markup: it comes from outside.
const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

