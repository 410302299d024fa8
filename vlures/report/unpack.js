"use strict";
// The data of the page: an index of all entries, and chunks that are unpacked when they are needed.

const manifest = JSON.parse(document.getElementById("manifest").textContent);
const MOST_HELD = 24; // chunks that stay unpacked

function toBytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The content of a chunk; null if the report holds no such chunk. */
async function unpack(name) {
  const element = document.getElementById(name);
  if (element === null) return null;
  const packed = new Blob([toBytes(element.textContent)]).stream();
  return JSON.parse(await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text());
}

const held = new Map(); // name → the promise of its content, the one used last at the end

function unpackOnce(name) {
  const known = held.get(name) ?? unpack(name);
  held.delete(name);
  held.set(name, known);
  if (held.size > MOST_HELD) held.delete(held.keys().next().value);
  return known;
}

const starts = [0]; // the first entry of each chunk of answers
for (const entries of manifest.chunks) starts.push(starts.at(-1) + entries);
const count = starts.at(-1);

function chunkOf(entry) {
  let low = 0;
  let high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= entry) low = middle;
    else high = middle;
  }
  return low;
}

/** The answers to an entry's question, {facts, answers}. */
async function readEntry(entry) {
  const chunk = chunkOf(entry);
  return (await unpackOnce(`answers-${chunk}`))[entry - starts[chunk]];
}

/** What each run's model gave of its reasoning. */
async function readReasoning(entry) {
  const chunk = chunkOf(entry);
  return (await unpackOnce(`reasoning-${chunk}`))?.[entry - starts[chunk]] ?? [];
}

/** [text, language, direction] of a text that belongs to an image; null where the report leaves it out. */
async function readText(number) {
  const chunk = await unpackOnce(`texts-${Math.floor(number / manifest.textsPerChunk)}`);
  return chunk?.[number % manifest.textsPerChunk] ?? null;
}

const pictureLines = new Map();

/** The address of a small image; null where the report holds none. */
function pictureAddress(number) {
  if (number < 0 || !manifest.imagesPerChunk) return null;
  const name = `images-${Math.floor(number / manifest.imagesPerChunk)}`;
  if (!pictureLines.has(name)) pictureLines.set(name, document.getElementById(name)?.textContent.split("\n") ?? []);
  const line = pictureLines.get(name)[number % manifest.imagesPerChunk];
  return line ? `data:image/webp;base64,${line}` : null;
}
