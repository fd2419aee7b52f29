// The original script's way, written for the benchmark from its description: the folder copied file by file, the keys
// read sixteen at a time, stored in batches of a hundred upserts, and verified by counting rows.
// Arguments: folder, backup folder, company. Environment: DATABASE_URL, BOT (whose `pg` it uses).
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const pg = createRequire(join(process.env.BOT, 'package.json'))('pg');
const [folder, backups, company] = process.argv.slice(2);
const CONCURRENCY = 16;
const BATCH = 100;

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();

const files = await readdir(folder);
const backup = join(backups, `company_${company}`, `backup_${Date.now()}`);
await mkdir(backup, { recursive: true });
for (const file of files) await copyFile(join(folder, file), join(backup, file));

const creds = await readFile(join(folder, 'creds.json'), 'utf8');
await client.query(
  `INSERT INTO whatsapp_auth (company_id, creds) VALUES ($1, $2::jsonb)
   ON CONFLICT (company_id) DO UPDATE SET creds = EXCLUDED.creds, updated_at = now()`,
  [company, JSON.stringify(JSON.parse(creds))],
);

const keys = [];
const waiting = files.filter((file) => file !== 'creds.json');
await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
  for (let file = waiting.pop(); file; file = waiting.pop()) {
    // As it splits names, at the first hyphen: wrong for most types, and as much work as the right way.
    const [, type, id] = /^(.+?)-(.+)\.json$/.exec(file);
    keys.push({ type, id, value: JSON.parse(await readFile(join(folder, file), 'utf8')) });
  }
}));

for (let start = 0; start < keys.length; start += BATCH) {
  const batch = keys.slice(start, start + BATCH);
  const places = batch.map((_, row) => `($1, $${3 * row + 2}, $${3 * row + 3}, $${3 * row + 4}::jsonb)`);
  await client.query(
    `INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES ${places.join(', ')}
     ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = EXCLUDED.value, updated_at = now()`,
    [company, ...batch.flatMap(({ type, id, value }) => [type, id, JSON.stringify(value)])],
  );
}

const { rows } = await client.query('SELECT count(*)::int AS number FROM whatsapp_keys WHERE company_id = $1', [company]);
if (rows[0].number !== keys.length) throw new Error(`${rows[0].number} rows of ${keys.length} keys`);
await client.end();
