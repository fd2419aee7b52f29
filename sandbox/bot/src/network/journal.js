// The network's memory: a map of strings in one append-only file. Each commit is one line, so a
// killed process leaves a whole prefix of its history, never half of a step.
import { appendFileSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const COMPACT_ABOVE_BYTES = 64 * 1024 * 1024;

export class Journal {
  #file;
  #values = new Map();
  #changes = new Map();
  #bytes = 0;

  constructor(file) {
    this.#file = file;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const changes = parse(line);
      if (!changes) break; // the torn end of a killed process
      for (const [key, value] of changes) this.#apply(key, value);
    }
    this.#compact();
  }

  get(key) {
    return this.#values.get(key);
  }

  set(key, value) {
    this.#apply(key, value);
    this.#changes.set(key, value);
  }

  delete(key) {
    this.set(key, null);
  }

  *entries(prefix) {
    for (const [key, value] of this.#values) if (key.startsWith(prefix)) yield [key.slice(prefix.length), value];
  }

  commit() {
    if (!this.#changes.size) return;
    const line = `${JSON.stringify([...this.#changes])}\n`;
    appendFileSync(this.#file, line, { mode: 0o600 });
    this.#changes.clear();
    this.#bytes += line.length;
    if (this.#bytes > COMPACT_ABOVE_BYTES) this.#compact();
  }

  #apply(key, value) {
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  #compact() {
    const fresh = `${this.#file}.new`;
    const file = openSync(fresh, 'w', 0o600);
    for (const entry of this.#values) writeSync(file, `${JSON.stringify([entry])}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(fresh, this.#file);
    this.#bytes = 0;
  }
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
