// Elements, made so that foreign text can only become text.
"use strict";
((fleet) => {
  /** An HTML element; children are elements or text. */
  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  /** An SVG element. Sizes and places are presentation attributes: the page's policy allows no style of its own. */
  function drawing(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  /** Sets a text if it is another: what stays is not touched, so that a selection and a reader's place stay, too. */
  function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  /** Makes `children` the children of `parent`, moving only what is not in its place. */
  function setChildren(parent, children) {
    children.forEach((child, at) => {
      if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
    });
    while (parent.children.length > children.length) parent.lastElementChild.remove();
  }

  const milliseconds = (ms) => (ms === null ? "–" : ms < 9.95 ? ms.toFixed(1) : String(Math.round(ms)));
  const percent = (share) => `${share.toFixed(1)} %`;

  Object.assign(fleet, { element, drawing, setText, setChildren, milliseconds, percent });
})((globalThis.biforaFleet ??= {}));
