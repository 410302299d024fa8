// The page: filters, keyboard, links to entries, printing.

const MOST_PRINTED = 200;
const narrow = matchMedia("(max-width: 999px)");
const byId = (id) => document.getElementById(id);

const cells = [];
let first = 0;
for (const cell of manifest.cells) {
  cells.push({ ...cell, first });
  first += cell.entries;
}

function cellOf(entry) {
  let low = 0;
  let high = cells.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (cells[middle].first <= entry) low = middle;
    else high = middle;
  }
  return cells[low];
}

// As in the keys of requests: vlures/store/keys.py.
const escapeId = (id) => id.replaceAll("%", "%25").replaceAll("-", "%2D");

function keyOf(index, entry) {
  const cell = cellOf(entry);
  const key = cell.prefixes[0] + escapeId(index.sample[entry]);
  let twins = 0; // the same ID may have been asked about several images
  for (let other = entry - 1; other >= cell.first && index.sample[other] === index.sample[entry]; other--) twins++;
  return twins ? `${key}~${twins + 1}` : key;
}

function entryOf(index, key) {
  const [, whole, twin] = /^(.*?)(?:~(\d+))?$/s.exec(key);
  const at = whole.lastIndexOf("-") + 1;
  for (const cell of cells) {
    if (!cell.prefixes.includes(whole.slice(0, at))) continue;
    for (let entry = cell.first; entry < cell.first + cell.entries; entry++) {
      if (escapeId(index.sample[entry]) === whole.slice(at)) return entry + Number(twin ?? 1) - 1;
    }
  }
  return -1;
}

/** A labelled control of the form. */
function addField(form, words, control, className = "") {
  control.id = `field-${form.elements.length}`;
  const label = make("label", { htmlFor: control.id, textContent: words });
  form.append(make("div", { className: `field ${className}` }, ...(control.type === "checkbox" ? [control, label] : [label, control])));
  return control;
}

/** options: [value, words] each. */
function addSelect(form, words, options) {
  const select = make("select");
  for (const [value, name] of options) select.append(make("option", { value, textContent: name }));
  return addField(form, words, select);
}

function addInput(form, words, properties, className) {
  return addField(form, words, make("input", properties), className);
}

function numbered(values) {
  return [["-1", "all"], ...values.map((value, number) => [number, value])];
}

function buildFilters(form) {
  const fields = { words: addInput(form, "Words in an answer", { type: "search" }, "always") };
  form.append(make("button", { id: "more", type: "button", className: "always", textContent: "Filters", "aria-expanded": "false" }));
  fields.sample = addInput(form, "Sample", { type: "search", size: 8 });
  const inWords = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
  fields.dimensions = manifest.dimensions.map(({ name, values }) => addSelect(form, inWords(name), numbered(values)));
  fields.status = addSelect(form, "Status", numbered(manifest.statuses));
  if (manifest.raters.length) {
    fields.rater = addSelect(form, "Scored by", numbered(manifest.raters.map((rater) => rater.name)));
    fields.from = addInput(form, "From", { type: "number", min: 0, max: 100 });
    fields.to = addInput(form, "To", { type: "number", min: 0, max: 100 });
  }
  if (manifest.runs.length > 1) fields.differs = addInput(form, "runs differ", { type: "checkbox" }, "tick");
  const orders = [["asked", "as asked"], ["sample", "by sample"]];
  if (manifest.raters.length) orders.push(["lowest", "lowest score first"]);
  if (manifest.raters.length && manifest.runs.length > 1) orders.push(["gap", "largest gap first"]);
  fields.order = addSelect(form, "Order", orders);
  form.append(make("button", { type: "reset", textContent: "Reset" }));
  return fields;
}

function readFilters(fields) {
  return {
    sample: fields.sample.value.trim(),
    dimensions: fields.dimensions.map((select) => Number(select.value)),
    status: Number(fields.status.value),
    rater: Number(fields.rater?.value ?? -1),
    scored: Boolean(fields.from?.value || fields.to?.value),
    from: Number(fields.from?.value || 0),
    to: Number(fields.to?.value || 100),
    differs: fields.differs?.checked ?? false,
    order: fields.order.value,
  };
}

class Page {
  constructor(index) {
    this.index = index;
    this.turn = 0; // of filtering: a later one overtakes
    this.opened = -1;
    this.form = byId("filters");
    this.fields = buildFilters(this.form);
    this.list = new List(index, (entry, open) => this.choose(entry, open));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.filter());
    this.form.addEventListener("reset", () => setTimeout(() => this.filter()));
    byId("more").addEventListener("click", () => {
      byId("more").setAttribute("aria-expanded", this.form.classList.toggle("open"));
    });
    byId("print-these").addEventListener("click", () => this.print());
    byId("back").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => this.press(event));
    addEventListener("hashchange", () => this.follow());
  }

  async filter() {
    const turn = ++this.turn;
    const tell = (words) => (byId("count").textContent = words);
    const isCurrent = () => turn === this.turn;
    const found = await search(this.fields.words.value, tell, isCurrent);
    if (!isCurrent()) return;
    const entries = select(this.index, readFilters(this.fields), found);
    const cut = entries.length > MOST_ROWS ? `; the first ${MOST_ROWS.toLocaleString("en")} are listed` : "";
    tell(`${entries.length.toLocaleString("en")} of ${count.toLocaleString("en")} questions${cut}`);
    const printed = Math.min(entries.length, MOST_PRINTED);
    byId("print-these").textContent = printed < entries.length ? `Print the first ${printed}` : "Print these";
    byId("print-these").disabled = printed === 0;
    await this.list.show(entries);
    document.documentElement.dataset.filtered = turn;
  }

  /** Show an entry beside the list; on a narrow screen in its place, if it is to be opened. */
  async choose(entry, open) {
    if (narrow.matches && !open) return;
    this.opened = entry;
    const element = await buildEntry(this.index, entry);
    if (this.opened !== entry) return;
    byId("entry").replaceChildren(element);
    byId("detail").scrollTop = 0;
    document.body.classList.toggle("reading", narrow.matches);
    byId("list").inert = this.form.inert = narrow.matches;
    history.replaceState(null, "", `#${encodeURIComponent(keyOf(this.index, entry))}`);
    if (open && (narrow.matches || document.activeElement === byId("list"))) element.querySelector("h3").focus();
  }

  close() {
    document.body.classList.remove("reading");
    byId("list").inert = this.form.inert = false;
    byId("list").focus();
  }

  /** Open the entry that the address names; one that the filters hide brings all back. */
  async follow() {
    let key = location.hash.slice(1);
    try {
      key = decodeURIComponent(key);
    } catch {
      return false; // a % that escapes nothing
    }
    const entry = key ? entryOf(this.index, key) : -1;
    if (entry < 0) return false;
    if (entry === this.opened) return true;
    if (!this.list.entries.includes(entry)) {
      this.form.reset();
      await this.filter();
    }
    byId("answers").scrollIntoView({ behavior: "instant" });
    this.list.active = this.list.entries.indexOf(entry);
    this.list.box.scrollTop = Math.max(0, this.list.active * ROW_PIXELS - 2 * ROW_PIXELS);
    await this.list.render();
    this.list.point();
    await this.choose(entry, true);
    return true;
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && byId("detail").contains(document.activeElement)) return this.close();
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const inList = document.activeElement === byId("list");
    const page = Math.max(1, Math.floor(byId("list").clientHeight / ROW_PIXELS) - 1);
    const anywhere = { j: 1, k: -1 };
    const here = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = anywhere[event.key] ?? (inList ? here[event.key] : undefined);
    if (step !== undefined) {
      const from = this.list.active < 0 && step === 1 ? -1 : this.list.active;
      this.list.move(from + step, document.body.classList.contains("reading"));
    } else if (event.key === "Enter" && inList) this.list.move(Math.max(0, this.list.active), true);
    else return;
    event.preventDefault();
  }

  /** Print the listed entries whole, at most MOST_PRINTED. */
  async print() {
    const entries = this.list.entries.slice(0, MOST_PRINTED);
    const built = await Promise.all(entries.map((entry) => buildEntry(this.index, entry)));
    for (const details of built.flatMap((element) => [...element.querySelectorAll("details")])) details.open = true;
    byId("print").replaceChildren(...built);
    await Promise.allSettled([...byId("print").querySelectorAll("img")].map((image) => image.decode()));
    document.body.classList.add("printing");
    await document.fonts.ready;
    document.documentElement.dataset.printed = built.length;
    window.print();
  }
}

addEventListener("afterprint", () => {
  document.body.classList.remove("printing");
  byId("print").replaceChildren();
});
// Browsers that cannot print what is folded away: open it.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("#summary details")) details.open = true;
});

async function begin() {
  byId("needs-script").hidden = true;
  const page = new Page(await unpack("index"));
  await page.filter();
  if (!(await page.follow()) && page.list.entries.length && !narrow.matches) {
    page.list.active = 0;
    page.list.point();
    const element = await buildEntry(page.index, page.list.entries[0]);
    page.opened = page.list.entries[0];
    byId("entry").replaceChildren(element);
  }
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
}

begin();
