// Filters and search. Filters look at the index alone; the first search unpacks and folds every answer, once.

const SEPARATOR = "\n\u0000\n";
const folded = []; // by chunk: {text, ends}, all answers in one string, and where each entry's end

async function foldChunk(chunk) {
  if (folded[chunk]) return folded[chunk];
  const entries = await unpack(`answers-${chunk}`);
  const ends = new Uint32Array(entries.length);
  const parts = [];
  let length = 0;
  entries.forEach((entry, number) => {
    const part = fold(entry.answers.map((answer) => answer?.text ?? "").join(SEPARATOR)) + SEPARATOR;
    parts.push(part);
    length += part.length;
    ends[number] = length;
  });
  folded[chunk] = { text: parts.join(""), ends };
  return folded[chunk];
}

function findInChunk({ text, ends }, words, first, found) {
  let entry = 0;
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, ends[entry])) {
    while (ends[entry] <= at) entry++;
    found[first + entry] = 1;
  }
}

/** Which entries have an answer with these words: a byte each; null if all do, or if the search is overtaken. */
async function search(words, tell, isCurrent) {
  const wanted = fold(words.trim());
  if (!wanted) return null;
  const found = new Uint8Array(count);
  for (let chunk = 0; chunk < manifest.chunks.length; chunk++) {
    if (!folded[chunk]) {
      await foldChunk(chunk);
      if (!isCurrent()) return null;
      tell(`searching… ${Math.round((100 * chunk) / manifest.chunks.length)} %`);
    }
    findInChunk(folded[chunk], wanted, starts[chunk], found);
  }
  return found;
}

/** The entries that the filters let through, in the wanted order. wanted: the state of the form. */
function select(index, wanted, found) {
  const entries = [];
  for (let entry = 0; entry < count; entry++) {
    if (found !== null && !found[entry]) continue;
    if (passes(index, wanted, entry)) entries.push(entry);
  }
  return order(index, wanted, entries);
}

function passes(index, wanted, entry) {
  for (let number = 0; number < wanted.dimensions.length; number++) {
    const value = wanted.dimensions[number];
    if (value >= 0 && index.dimensions[number][entry] !== value) return false;
  }
  if (wanted.sample && index.sample[entry] !== wanted.sample) return false;
  if (wanted.differs && !index.differs[entry]) return false;
  if (wanted.status >= 0 && !index.status.some((ofRun) => ofRun[entry] === wanted.status)) return false;
  return !wanted.scored || scoresOf(index, wanted.rater, entry).some((score) => score >= wanted.from && score <= wanted.to);
}

/** All scores of an entry's answers by one rater, or by all (-1). */
function scoresOf(index, rater, entry) {
  const scores = [];
  for (let number = 0; number < index.scores.length; number++) {
    if (rater >= 0 && number !== rater) continue;
    for (const ofRun of index.scores[number]) if (ofRun[entry] !== null) scores.push(ofRun[entry]);
  }
  return scores;
}

/** How far apart the runs' scores are, by the rater who sees them furthest apart. */
function gapOf(index, rater, entry) {
  let gap = -1;
  for (let number = 0; number < index.scores.length; number++) {
    if (rater >= 0 && number !== rater) continue;
    const scores = index.scores[number].map((ofRun) => ofRun[entry]).filter((score) => score !== null);
    if (scores.length > 1) gap = Math.max(gap, Math.max(...scores) - Math.min(...scores));
  }
  return gap;
}

function order(index, wanted, entries) {
  if (wanted.order === "sample") {
    const samples = index.sample;
    return entries.sort(
      (a, b) => samples[a].length - samples[b].length || (samples[a] < samples[b] ? -1 : samples[a] > samples[b] ? 1 : a - b),
    );
  }
  if (wanted.order === "lowest" || wanted.order === "gap") {
    const keys = new Map();
    for (const entry of entries) {
      const scores = scoresOf(index, wanted.rater, entry);
      keys.set(entry, wanted.order === "gap" ? -gapOf(index, wanted.rater, entry) : scores.length ? Math.min(...scores) : 101);
    }
    return entries.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
  }
  return entries;
}
