// Registers existing logins with the simulated network, so that they can talk on it: a rehearsal
// on a copy of real data. Of each login only the public parts are taken.
//
//   node scripts/enrol.js --sessions DIR [--network http://127.0.0.1:3901] [COMPANY…]
//
// Without companies: every folder company_* under DIR. The files are only read.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BufferJSON } from 'baileys';
import { publicLogin } from '../src/network/login.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sessions: { type: 'string' },
    network: { type: 'string', default: process.env.NETWORK_URL || 'http://127.0.0.1:3901' },
  },
});
if (!options.sessions) throw new Error('--sessions is needed');

const read = async (file) => JSON.parse(await readFile(file, 'utf8'), BufferJSON.reviver);

/** Only those that were uploaded: the others the network cannot know. */
async function offeredPreKeys(folder, creds) {
  const names = (await readdir(folder)).map((name) => name.match(/^pre-key-(\d+)\.json$/)).filter(Boolean);
  const offered = names.map(([, id]) => Number(id)).filter((id) => id < creds.firstUnuploadedPreKeyId);
  return Promise.all(offered.map(async (id) => [id, (await read(join(folder, `pre-key-${id}.json`))).public]));
}

const folders = positionals.length
  ? positionals.map((company) => `company_${company}`)
  : (await readdir(options.sessions)).filter((name) => name.startsWith('company_'));

for (const name of folders) {
  const folder = join(options.sessions, name);
  const creds = await read(join(folder, 'creds.json'));
  if (!creds.me?.id) {
    console.log(`${name}: not paired with a phone, left out`);
    continue;
  }
  const login = publicLogin(creds, await offeredPreKeys(folder, creds));
  const response = await fetch(`${options.network}/logins`, { method: 'POST', body: JSON.stringify(login) });
  if (!response.ok) throw new Error(`${name}: ${(await response.json()).error}`);
  console.log(`${name}: registered`);
}
