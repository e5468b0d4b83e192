// Small helpers for the elements of the page.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);
export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
export const show = (value) => String(Math.round(value * 1000) / 1000);

export function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  return element;
}

export function focusOn(id) {
  $(id).focus();
  $(id).select();
}

let toastTimer = 0;
// A message that disappears by itself.
export function say(text, isError = false) {
  $("toast").textContent = text;
  $("toast").className = isError ? "shown error" : "shown";
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").className = ""), isError ? 7000 : 2500);
}
