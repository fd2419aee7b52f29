// What the library stores and gets, through Baileys' own store of files and the bot's of the database.
//   keys.mjs write <folder>               creds and keys of standard input, as useMultiFileAuthState writes them
//   keys.mjs get files <folder>           what keys.get gives for {type: [ids]} of standard input, and the creds
//   keys.mjs get database <company>       the same from DATABASE_URL
import { readFileSync } from 'node:fs';
import { BufferJSON, initAuthCreds, useMultiFileAuthState } from 'baileys';
import { closeDatabase, useDatabaseAuthState } from './src/auth/database.js';

const input = () => JSON.parse(readFileSync(0, 'utf8'), BufferJSON.reviver);

/** Types are told apart: a Buffer, a string and a number must not come out as one another. */
function described(value) {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') };
  if (typeof value?.toJSON === 'function') return { message: described(value.toJSON()) };
  if (Array.isArray(value)) return value.map(described);
  if (typeof value === 'object') return Object.fromEntries(Object.entries(value).sort().map(([key, each]) => [key, described(each)]));
  return value;
}

async function write(folder) {
  const { creds, keys } = input();
  const { state, saveCreds } = await useMultiFileAuthState(folder);
  Object.assign(state.creds, initAuthCreds(), creds);
  await saveCreds();
  await state.keys.set(keys);
}

async function get(store, where) {
  const { state } = store === 'files' ? await useMultiFileAuthState(where) : await useDatabaseAuthState(where);
  const found = {};
  for (const [type, ids] of Object.entries(input())) found[type] = described(await state.keys.get(type, ids));
  process.stdout.write(JSON.stringify({ creds: described(state.creds), keys: found }));
}

const [command, ...rest] = process.argv.slice(2);
await { write, get }[command](...rest);
await closeDatabase();
