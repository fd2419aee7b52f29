// Rehearsal: loads a stored login through the app's own code, and tells what it found. Reads only.
//
//   node scripts/load-auth-state.js --company 962302 --store files|database
//
// Prints one JSON line: {"company_id", "store", "identity", "keys": {<type>: {"count", "sample"}}}.
// `sample` is the SHA-256 of one key of the type, the first by its Baileys file name in byte
// order, read through the key store and written as JSON with sorted keys and bytes in base64.
// Exit code 1 and one line on stderr: there is no login, or a key cannot be read.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BufferJSON } from 'baileys';
import { identityDigest, sessionFolder, useAuthState } from '../src/auth/index.js';
import { closeDatabase, database } from '../src/auth/database.js';
import { config } from '../src/config.js';
import { guardConsole } from '../src/log.js';

// Longest first: sender-key-memory-… also starts with sender-key-.
const TYPES = [
  'app-state-sync-version', 'app-state-sync-key', 'sender-key-memory', 'identity-key', 'lid-mapping',
  'device-list', 'sender-key', 'pre-key', 'session', 'tctoken',
];

const { values: options } = parseArgs({
  options: { company: { type: 'string' }, store: { type: 'string', default: config.store } },
});

const fileName = (id) => id.replaceAll('/', '__').replaceAll(':', '-');

/** The ids of all keys by type. In the files they stay as the names spell them: reading takes both. */
async function listFiles(companyId) {
  const folder = sessionFolder(companyId);
  const creds = await readFile(join(folder, 'creds.json'), 'utf8').catch(() => null);
  if (creds === null) throw new Error(`no login in ${folder}: creds.json is missing`);
  try {
    JSON.parse(creds);
  } catch {
    throw new Error(`no login in ${folder}: creds.json is torn`);
  }
  const ids = {};
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.json') && file !== 'creds.json')) {
    const type = TYPES.find((each) => name.startsWith(`${each}-`));
    if (type) (ids[type] ??= []).push(name.slice(type.length + 1, -'.json'.length));
  }
  return ids;
}

async function listRows(companyId) {
  const { rows } = await database().query('SELECT 1 FROM whatsapp_auth WHERE company_id = $1', [companyId]);
  if (!rows.length) throw new Error(`no login of company ${companyId} in the database: whatsapp_auth has no row`);
  const keys = await database().query('SELECT key_type, key_id FROM whatsapp_keys WHERE company_id = $1', [companyId]);
  const ids = {};
  for (const row of keys.rows) (ids[row.key_type] ??= []).push(row.key_id);
  return ids;
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}

async function sample(keys, type, ids) {
  const id = ids.reduce((first, each) => (Buffer.compare(Buffer.from(fileName(each)), Buffer.from(fileName(first))) < 0 ? each : first));
  const value = (await keys.get(type, [id]))[id];
  if (!value) throw new Error(`a key of type ${type} cannot be read`);
  return createHash('sha256').update(canonical(JSON.parse(JSON.stringify(value, BufferJSON.replacer)))).digest('hex');
}

async function load({ company, store }) {
  if (!company || !['files', 'database'].includes(store)) throw new Error('--company and --store files|database are needed');
  const ids = await (store === 'database' ? listRows : listFiles)(company);
  const { state, created } = await useAuthState(company, store);
  if (created) throw new Error('no login is stored');
  const keys = {};
  for (const type of Object.keys(ids).sort()) {
    keys[type] = { count: ids[type].length, sample: await sample(state.keys, type, ids[type]) };
  }
  return { company_id: company, store, identity: identityDigest(state.creds), keys };
}

guardConsole();
try {
  process.stdout.write(`${JSON.stringify(await load(options))}\n`);
} catch (error) {
  console.error(`❌ Cannot load company ${options.company}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await closeDatabase();
}
