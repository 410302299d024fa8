// Texts: put in as text, never as HTML; characters that a screen would obey are shown as marks.

const OBEYED =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function nameOf(character) {
  if (character === "\u001b") return "ESC";
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Fill an element with a text of an answer. U+200C and U+200D stay: Urdu needs them. */
function putText(element, text) {
  const whole = text.replaceAll("\r\n", "\n");
  let from = 0;
  for (const found of whole.matchAll(OBEYED)) {
    if (found.index > from) element.append(whole.slice(from, found.index));
    element.append(make("span", { className: "mark", textContent: nameOf(found[0]) }));
    from = found.index + found[0].length;
  }
  if (from < whole.length) element.append(whole.slice(from));
  return element;
}

/** An element that shows a text in its own language and direction. */
function textElement(tag, className, text, language) {
  const [lang, dir] = language ?? [null, "auto"];
  const element = make(tag, { className, dir });
  if (lang) element.lang = lang;
  return putText(element, text);
}

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// Search folds case, width, diacritics and the variants of Arabic letters that Urdu writes in two ways.
const ALIKE = { "ي": "ی", "ى": "ی", "ك": "ک", "ه": "ہ", "ة": "ہ", "ھ": "ہ" };
const PLAIN = /^[\x00-\x7f]*$/;

function fold(text) {
  const lower = text.toLowerCase();
  if (PLAIN.test(lower)) return lower;
  return lower
    .normalize("NFKD")
    .replace(/[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u200b-\u200f]/g, "")
    .replace(/[يىكهةھ]/g, (letter) => ALIKE[letter])
    .normalize("NFC");
}
