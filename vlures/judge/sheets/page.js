// A rating sheet without a network. All texts go in by textContent; what is entered stays in this browser, if it
// keeps anything, and is saved to a file that `vlures sheets in` reads.
"use strict";

const FORMAT = "vlures ratings, 1";
const sheet = JSON.parse(document.getElementById("sheet").textContent);
const words = sheet.words;
const rows = sheet.rows;
const STORE = `vlures sheet ${sheet.set} ${sheet.rater}`;
/** ID → {score, comment, time}. time: of the last change, in milliseconds. */
const ratings = new Map(rows.map((row) => [row.id, { score: null, comment: "", time: 0 }]));
let current = 0;
let unsaved = new Set();
let keeps = true;

const at = (id) => document.getElementById(id);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

function say(text, bad = false) {
  at("notice").textContent = text;
  at("notice").classList.toggle("bad", bad);
}

// Scores

const ZEROS = [0x30, 0x660, 0x6f0, 0xff10];

/** A whole number from 1 to 100 in Latin, Arabic, Persian or full-width digits; null for an empty text; NaN for any
 *  other. */
function readScore(text) {
  const plain = text.replace(/[\u061c\u200e\u200f\s]/g, "");
  if (plain === "") return null;
  const digits = [...plain].map((character) => {
    const zero = ZEROS.find((first) => character.codePointAt(0) >= first && character.codePointAt(0) <= first + 9);
    return zero === undefined ? "x" : String(character.codePointAt(0) - zero);
  });
  const number = digits.join("");
  return /^[1-9][0-9]{0,2}$/.test(number) && Number(number) <= 100 ? Number(number) : NaN;
}

function setScore(score) {
  const rating = ratings.get(rows[current].id);
  if (rating.score === score) return;
  rating.score = score;
  changed(rating);
}

function changed(rating) {
  rating.time = Date.now();
  unsaved.add(rows[current].id);
  keep();
  showProgress();
}

// What stays in the browser

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify([...ratings]));
  } catch {
    keeps = false;
  }
  at("kept").textContent = keeps ? words.kept : words.not_kept;
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    for (const [id, rating] of kept) take(id, rating);
    localStorage.setItem(STORE, JSON.stringify([...ratings]));
  } catch {
    keeps = false;
  }
  at("kept").textContent = keeps ? words.kept : words.not_kept;
}

/** Take a rating over unless the one that is here is newer. Whether it was. */
function take(id, given) {
  const rating = ratings.get(id);
  if (rating === undefined || typeof given !== "object" || given === null) return false;
  const score = Number.isInteger(given.score) && given.score >= 1 && given.score <= 100 ? given.score : null;
  const comment = typeof given.comment === "string" ? given.comment : "";
  const time = Number.isFinite(given.time) ? given.time : 0;
  if (score === null && comment === "") return false;
  if (time < rating.time && (rating.score !== null || rating.comment !== "")) return false;
  const isNew = score !== rating.score || comment !== rating.comment;
  Object.assign(rating, { score, comment, time });
  return isNew;
}

// Files

function save() {
  const content = {
    format: FORMAT,
    set: sheet.set,
    rater: sheet.rater,
    ratings: rows.map((row, place) => ({ number: place + 1, id: row.id, digest: row.digest, ...ratings.get(row.id) })),
  };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = `${sheet.rater}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  unsaved = new Set();
  showProgress();
  say(words.saved);
}

async function load(file) {
  let taken = 0;
  try {
    const content = JSON.parse(await file.text());
    if (content.format !== FORMAT || content.set !== sheet.set || content.rater !== sheet.rater) throw new Error();
    const digests = new Map(rows.map((row) => [row.id, row.digest]));
    for (const given of content.ratings) {
      if (given.digest === digests.get(given.id) && take(given.id, given)) taken += 1;
    }
  } catch {
    say(words.refused, true);
    return;
  }
  keep();
  show(current);
  say(fill(words.loaded, { count: taken }));
}

// What is shown

function showProgress() {
  const done = rows.filter((row) => ratings.get(row.id).score !== null).length;
  at("done").max = rows.length;
  at("done").value = done;
  at("progress").textContent = fill(words.progress, { done, count: rows.length });
  at("unsaved").textContent = unsaved.size ? fill(words.unsaved, { count: unsaved.size }) : "";
  const buttons = at("list").querySelectorAll("button");
  rows.forEach((row, place) => {
    const button = buttons[place];
    const { score } = ratings.get(row.id);
    button.classList.toggle("done", score !== null);
    button.setAttribute("aria-label", `${place + 1}: ${score ?? words.no_score}`);
    if (place === current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  at("complete").hidden = done < rows.length;
}

function showScore() {
  const { score } = ratings.get(rows[current].id);
  at("slider").value = score ?? 50;
  at("slider").classList.toggle("unset", score === null);
  at("slider").setAttribute("aria-valuetext", score === null ? words.no_score : String(score));
}

function putText(id, [text, language, direction]) {
  const element = at(id);
  element.textContent = text;
  element.dir = direction;
  if (language) element.lang = language;
  else element.removeAttribute("lang");
}

function show(place) {
  current = place;
  const row = rows[place];
  const rating = ratings.get(row.id);
  at("heading").textContent = fill(words.item, { number: place + 1, count: rows.length });
  const image = sheet.images[row.image];
  Object.assign(at("image"), { src: `data:image/jpeg;base64,${image.data}`, width: image.width, height: image.height });
  at("image").alt = fill(words.image_of, { number: place + 1 });
  putText("task", row.task);
  putText("answer", row.answer);
  at("with-article").hidden = row.article === null;
  putText("article", row.article ?? ["", null, "ltr"]);
  at("article").scrollTop = 0;
  at("number").value = rating.score ?? "";
  refuse(false);
  at("comment").value = rating.comment;
  at("previous").disabled = place === 0;
  at("next").disabled = place === rows.length - 1;
  showScore();
  showProgress();
}

function refuse(isWrong) {
  at("number").setAttribute("aria-invalid", String(isWrong));
  at("wrong").textContent = isWrong ? words.wrong_score : "";
}

function go(place) {
  if (place < 0 || place >= rows.length) return;
  at("intro").hidden = true;
  at("rating").hidden = false;
  show(place);
  window.scrollTo(0, 0);
  at("heading").focus({ preventScroll: true });
}

function goToUnrated() {
  const order = [...rows.keys()].map((step) => (current + 1 + step) % rows.length);
  const place = order.find((one) => ratings.get(rows[one].id).score === null);
  if (place === undefined) say(words.complete);
  else go(place);
}

function listen() {
  at("slider").addEventListener("input", () => fromSlider());
  // A click where the slider stands already changes nothing, but it is a score.
  at("slider").addEventListener("pointerup", () => fromSlider());
  at("slider").addEventListener("keyup", (event) => {
    if (event.key === "Enter" || event.key === " ") fromSlider();
  });
  at("number").addEventListener("input", () => {
    const score = readScore(at("number").value);
    refuse(Number.isNaN(score));
    setScore(Number.isNaN(score) ? null : score);
    showScore();
  });
  at("number").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && at("number").getAttribute("aria-invalid") !== "true") go(current + 1);
  });
  at("comment").addEventListener("input", () => {
    const rating = ratings.get(rows[current].id);
    rating.comment = at("comment").value;
    changed(rating);
  });
  at("clear").addEventListener("click", () => {
    setScore(null);
    show(current);
  });
  at("previous").addEventListener("click", () => go(current - 1));
  at("next").addEventListener("click", () => go(current + 1));
  at("unrated").addEventListener("click", goToUnrated);
  at("start").addEventListener("click", () => go(current));
  at("again").addEventListener("click", () => {
    at("intro").hidden = !at("intro").hidden;
    window.scrollTo(0, 0);
  });
  at("save").addEventListener("click", save);
  at("load").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", async () => {
    const [file] = at("file").files;
    if (file) await load(file);
    at("file").value = "";
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    if (unsaved.size && !keeps) event.preventDefault();
  });
}

function fromSlider() {
  const score = Number(at("slider").value);
  setScore(score);
  at("number").value = score;
  refuse(false);
  showScore();
}

function onKey(event) {
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  const actions = { KeyN: () => go(current + 1), KeyP: () => go(current - 1), KeyS: save, KeyU: goToUnrated };
  const act = actions[event.code];
  if (act === undefined) return;
  event.preventDefault();
  act();
}

function start() {
  const list = at("list").querySelector("ol");
  rows.forEach((_, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = String(place + 1);
    button.addEventListener("click", () => go(place));
    const entry = document.createElement("li");
    entry.append(button);
    list.append(entry);
  });
  recall();
  listen();
  const first = rows.findIndex((row) => ratings.get(row.id).score === null);
  show(Math.max(first, 0));
  document.documentElement.dataset.ready = "yes";
}

start();
