// The list of entries: only the rows in view exist. The list keeps the focus, and names its active row.

const ROW_PIXELS = 116; // as in page.css
const BEYOND = 2; // rows above and below the view
const MOST_ROWS = 120000; // browsers end an element at about 17 million pixels
const SCORES = `Scores by ${manifest.raters.map((rater) => rater.name).join(", ")}; runs are divided by |`;
const MOST_SAID = 3; // answers of so many runs are begun in a row
const NARROWEST = 5; // pixels of a character, on the average
const NARROWEST_KANJI = 13;
const BESIDE = 80; // pixels: what the image takes of a row at least

class List {
  /** choose: called with an entry that was clicked or moved to, and whether it is to be opened. */
  constructor(index, choose) {
    this.index = index;
    this.choose = choose;
    this.box = document.getElementById("list");
    this.rows = document.getElementById("rows");
    this.elements = new Map(); // position → row
    this.entries = [];
    this.active = -1;
    this.box.addEventListener("scroll", () => this.render(), { passive: true });
    this.width = this.box.clientWidth; // kept: to read it while rows are added lays all of them out
    new ResizeObserver(() => this.resize()).observe(this.box);
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.move(Number(row.dataset.position), true);
    });
  }

  resize() {
    if (this.width !== this.box.clientWidth) this.clear(); // rows begin as much of a text as they have room for
    this.width = this.box.clientWidth;
    this.render();
  }

  clear() {
    for (const row of this.elements.values()) row.remove();
    this.elements.clear();
  }

  /** Show these entries; the active one stays so if it is among them. */
  show(entries) {
    const active = this.entries[this.active];
    this.entries = entries.length > MOST_ROWS ? entries.slice(0, MOST_ROWS) : entries;
    this.clear();
    this.rows.style.height = `${this.entries.length * ROW_PIXELS}px`;
    this.box.setAttribute("aria-rowcount", this.entries.length);
    this.active = active === undefined ? -1 : this.entries.indexOf(active);
    this.box.scrollTop = 0;
    this.point();
    return this.render();
  }

  /** Make the row at a position the active one. */
  move(position, open) {
    if (!this.entries.length) return;
    this.active = Math.max(0, Math.min(this.entries.length - 1, position));
    const top = this.active * ROW_PIXELS;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    const least = top + ROW_PIXELS - this.box.clientHeight;
    if (least > this.box.scrollTop) this.box.scrollTop = least;
    this.render();
    this.point();
    this.choose(this.entries[this.active], open);
  }

  point() {
    for (const [position, row] of this.elements) row.setAttribute("aria-selected", position === this.active);
    if (this.elements.has(this.active)) this.box.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /** Rows as the view needs them; resolves when they are filled. */
  render() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW_PIXELS) - BEYOND);
    const inView = Math.ceil(this.box.clientHeight / ROW_PIXELS) + 2 * BEYOND;
    const end = Math.min(this.entries.length, first + inView);
    for (const [position, row] of this.elements) {
      if (position < first || position >= end) {
        row.remove();
        this.elements.delete(position);
      }
    }
    const filled = [];
    for (let position = first; position < end; position++) {
      if (!this.elements.has(position)) filled.push(this.add(position));
    }
    if (filled.length) this.point();
    return Promise.all(filled);
  }

  add(position) {
    const entry = this.entries[position];
    const row = make("div", { className: "row", role: "row", id: `row-${position}`, "aria-rowindex": position + 1 });
    row.dataset.position = position;
    row.style.top = `${position * ROW_PIXELS}px`;
    const address = pictureAddress(this.index.image[entry]);
    const picture = make("div", { role: "gridcell" });
    if (address) picture.append(make("img", { src: address, alt: "", decoding: "async" }));
    const what = make("div", { role: "gridcell", className: "what" }, this.head(entry));
    row.append(picture, what);
    this.rows.append(row);
    this.elements.set(position, row);
    return readEntry(entry).then((content) => {
      const isThere = this.elements.get(position) === row; // or was scrolled away meanwhile
      if (isThere) what.append(...said(content, this.width));
    });
  }

  head(entry) {
    const sample = make("bdi", { className: "sample", textContent: this.index.sample[entry] });
    const name = make("span", { className: "name", textContent: cellOf(entry).title });
    const scores = make("span", { className: "scores" });
    for (const run of manifest.runs.keys()) {
      const status = manifest.statuses[this.index.status[run][entry]];
      if (status && status !== "ok") scores.append(make("span", { className: "badge", textContent: `${MARKS[status]} ` }));
    }
    const given = manifest.runs.map((_, run) => this.index.scores.map((ofRuns) => ofRuns[run][entry] ?? "–").join(", "));
    if (manifest.raters.length) scores.append(make("span", { textContent: given.join(" | "), title: SCORES }));
    return make("div", { className: "head" }, sample, name, scores);
  }
}

/** The beginnings of the answers, for rows of so many pixels: more than a row has room for takes time to lay out. */
function said(content, width) {
  const answers = content.answers.filter((answer) => answer?.text !== undefined).slice(0, MOST_SAID);
  const lines = answers.length > 1 ? 1 : 3;
  return answers.map(({ text, language }) => {
    const most = Math.ceil((lines * Math.max(width - BESIDE, 0)) / (language?.[0] === "ja" ? NARROWEST_KANJI : NARROWEST));
    const whole = /[\ud800-\udbff]$/; // the first half of a character
    const begin = text.length > most ? `${text.slice(0, most).replace(whole, "")}…` : text;
    return textElement("div", `said lines-${lines}`, begin, language);
  });
}
