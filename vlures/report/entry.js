// One question with its image, its text, the answers of all runs and what was said of them.

const MARKS = { truncated: "◐ truncated", refused: "■ refused", failed: "▲ failed" };

/** The element of an entry. index: the columns of the index. */
async function buildEntry(index, entry) {
  const [content, reasoning, text] = await Promise.all([
    readEntry(entry),
    readReasoning(entry),
    index.text[entry] < 0 ? null : readText(index.text[entry]),
  ]);
  const link = make("a", { href: `#${encodeURIComponent(keyOf(index, entry))}`, textContent: titleOf(index, entry) });
  const about = make("div", { className: "about" }, buildFigure(index, entry), buildSource(index, entry, text, content));
  const answers = manifest.runs.map((run, number) => buildAnswer(run, content.answers[number], reasoning[number]));
  const element = make("article", { className: "entry" }, make("h3", { tabIndex: -1 }, link), about);
  element.append(make("div", { className: "said-by" }, ...answers));
  element.append(...(content.preferences ?? []).map(buildPreference));
  return element;
}

function titleOf(index, entry) {
  return `${cellOf(entry).title} · sample ${index.sample[entry]}`;
}

function buildFigure(index, entry) {
  const number = index.image[entry];
  const figure = make("figure");
  const address = pictureAddress(number);
  const [name, width, height, original] = index.pictures[number] ?? [];
  if (address !== null) {
    const size = { width, height };
    figure.append(make("img", { src: address, alt: `picture of sample ${index.sample[entry]}`, ...size }));
  }
  const caption = make("figcaption");
  if (name === undefined) caption.append("Its image is gone, or has changed since it was asked about.");
  else caption.append(make("bdi", { textContent: name }), `, ${width} × ${height} pixels`, whyNoPicture(address, number));
  if (original) caption.append(" · ", make("a", { href: original, textContent: "original" }));
  figure.append(caption);
  return figure;
}

function whyNoPicture(address, number) {
  if (address !== null) return "";
  if (!manifest.imagesPerChunk) return ": images are left out of this report";
  return number < manifest.pictures ? ": its file can no longer be read" : ": left out, to keep the report small";
}

function buildSource(index, entry, text, content) {
  const source = make("div", { className: "source" });
  if (text !== null) {
    const name = index.textName[0][index.textName[1][entry]];
    source.append(make("h4", { textContent: name[0].toUpperCase() + name.slice(1) }));
    source.append(focusable(textElement("div", "text", text[0], [text[1], text[2]]), name));
  } else if (index.text[entry] >= 0) {
    source.append(make("p", { className: "faint", textContent: "Its text is left out, to keep the report small." }));
  }
  const facts = Object.entries(content.facts);
  if (facts.length) {
    const list = make("dl");
    for (const [name, value] of facts) {
      list.append(make("dt", { textContent: name }), putText(make("dd", { dir: "auto" }), value));
    }
    source.append(list);
  }
  return source;
}

/** A text that may scroll, and so must be reached by keyboard. */
function focusable(element, name) {
  element.tabIndex = 0;
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", name);
  return element;
}

function buildAnswer(run, answer, reasoning) {
  const element = make("section", { className: "answer" }, make("h4", {}, make("bdi", { textContent: run.label })));
  if (!answer) {
    element.append(make("p", { className: "faint", textContent: "Not asked, or not answered yet." }));
    return element;
  }
  const status = manifest.statuses[answer.status ?? 0];
  if (status !== "ok") element.append(putText(make("p", { className: "badge" }), `${MARKS[status]} ${answer.why ?? ""}`));
  if (answer.text !== undefined) element.append(textElement("div", "text", answer.text, answer.language));
  if (reasoning) {
    const said = make("details", {}, make("summary", { textContent: "What it gave of its reasoning" }));
    said.append(textElement("div", "text", reasoning, null));
    element.append(said);
  }
  const tokens = answer.tokens === undefined ? null : `${answer.tokens.toLocaleString("en")} tokens`;
  const facts = [answer.model ?? run.model, tokens, ...(answer.notes ?? [])].filter(Boolean);
  element.append(putText(make("p", { className: "small" }), facts.join(" · ")));
  for (const verdict of answer.verdicts ?? []) element.append(buildVerdict(verdict));
  return element;
}

function buildVerdict(verdict) {
  const rater = manifest.raters[verdict.rater];
  const head = make("p", {}, make("bdi", { textContent: rater.name }), ` (${rater.kind}): `);
  const score = verdict.overall === undefined ? `no score (${verdict.missing ?? "missing"})` : `${verdict.overall} of 100`;
  head.append(putText(make("span", { className: "score" }), score));
  const element = make("div", { className: "verdict" }, head);
  const criteria = Object.entries(verdict.criteria ?? {}).map(([name, value]) => `${name} ${value}/5`);
  if (criteria.length) element.append(putText(make("p", { className: "criteria" }), criteria.join(" · ")));
  if (verdict.reasons) element.append(textElement("div", "text", verdict.reasons, null));
  return element;
}

const UNDECIDED = {
  neither: "no preference: neither, in both orders",
  flip: "⇄ flipped, so no preference: the other answer is chosen when the order is turned",
  split: "◐ split, so no preference: one answer is chosen in one order, neither in the other",
  missing: "no decision",
};

/** Which of two runs' answers a judge found better, and what it said in both orders. */
function buildPreference({ judge, runs, decision, choices, reasons }) {
  const better = { "first run": runs[0], "second run": runs[1] }[decision];
  const head = make("p", {}, make("bdi", { textContent: judge }), " (judge): ");
  const found = make("span", { className: "score" });
  if (better === undefined) found.append(UNDECIDED[decision]);
  else found.append(putText(make("bdi"), better), " is better, in both orders");
  head.append(found);
  const title = make("h4", {}, make("bdi", { textContent: runs[0] }), " or ", make("bdi", { textContent: runs[1] }), "?");
  const element = make("section", { className: `verdict preference ${decision.replace(" ", "-")}` }, title, head);
  for (const [order, shown] of [["straight", runs], ["turned", [runs[1], runs[0]]]]) {
    const chosen = { first: shown[0], second: shown[1], neither: "neither" }[choices[order]];
    const said = chosen === undefined ? `no choice (${choices[order]})` : `chose ${chosen}`;
    element.append(putText(make("p", { className: "criteria" }), `${shown[0]} shown first: ${said}`));
    if (reasons[order]) element.append(textElement("div", "text", reasons[order], null));
  }
  return element;
}
