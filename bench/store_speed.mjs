// What the bot does with its login, from files and from the database, both through Baileys' own interface.
// Arguments: folder of the login, company, how many of its lid-mappings have expired. Environment: DATABASE_URL, BOT.
// Prints JSON: {operation: {files: seconds, database: seconds}}, each the median of its repetitions.
import { randomBytes } from 'node:crypto';
import { readdir, stat, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, company, expired] = process.argv.slice(2);
const bot = createRequire(join(process.env.BOT, 'package.json'));
const { useMultiFileAuthState } = await import(pathToFileURL(bot.resolve('baileys')));
const { closeDatabase, database, useDatabaseAuthState } = await import(
  pathToFileURL(join(process.env.BOT, 'src/auth/database.js')));

const TYPES = ['app-state-sync-key', 'app-state-sync-version', 'sender-key-memory', 'sender-key', 'identity-key',
  'lid-mapping', 'device-list', 'tctoken', 'pre-key', 'session'];
const names = await readdir(folder);
const ids = Object.fromEntries(TYPES.map((type) => [type, []]));
for (const name of names) {
  const type = TYPES.find((each) => name.startsWith(`${each}-`));
  if (type) ids[type].push(name.slice(type.length + 1, -'.json'.length).replaceAll('__', '/').replaceAll('--', '::'));
}

const seconds = async (work) => {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
};
const median = async (times, work) => {
  const found = [];
  for (let time = 0; time < times; time += 1) found.push(await seconds(() => work(time)));
  return found.sort((one, other) => one - other)[Math.floor(times / 2)];
};

const stores = {
  files: () => useMultiFileAuthState(folder),
  database: () => useDatabaseAuthState(company),
};
const cleanups = {
  // The mappings that are older than a week, by the age of each file.
  files: async () => {
    for (const name of await readdir(folder)) {
      if (!name.startsWith('lid-mapping-')) continue;
      const file = join(folder, name);
      if ((await stat(file)).mtimeMs < Date.now() - 7 * 86_400_000) await unlink(file);
    }
  },
  database: () => database().query('SELECT cleanup_expired_whatsapp_keys()'),
};

const result = {};
const note = (operation, store, found) => { (result[operation] ??= {})[store] = found; };
for (const [store, open] of Object.entries(stores)) {
  const { state } = await open(); // connected, and warm
  await state.keys.get('session', ids.session.slice(0, 1));
  note('load the whole login', store, await median(3, async () => {
    const { state: fresh } = await open();
    for (const type of TYPES) {
      const found = await fresh.keys.get(type, ids[type]);
      const missing = ids[type].filter((id) => !found[id]).length;
      if (missing) throw new Error(`${store}: ${missing} of ${ids[type].length} ${type} are missing`);
    }
  }));
  note('read a key', store, await median(201, (time) =>
    state.keys.get('session', [ids.session[(time * 7919) % ids.session.length]])));
  const key = () => ({ private: randomBytes(32), public: randomBytes(33) });
  note('write 50 keys', store, await median(21, (time) => {
    const first = 1_000_000 + 50 * time;
    return state.keys.set({ 'pre-key': Object.fromEntries(Array.from({ length: 50 }, (_, each) => [first + each, key()])) });
  }));
  note(`remove ${expired} expired keys`, store, await seconds(cleanups[store]));
}
await closeDatabase();
console.log(JSON.stringify(result));
