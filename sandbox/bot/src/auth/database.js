// Baileys' auth state over two tables: whatsapp_auth (creds) and whatsapp_keys (signal keys).
import pg from 'pg';
import { BufferJSON, initAuthCreds, proto } from 'baileys';
import { config } from '../config.js';

let pool;

export function database() {
  if (!pool) {
    if (!config.databaseUrl) throw new Error('DATABASE_URL is not set in .env');
    pool = new pg.Pool({
      connectionString: config.databaseUrl,
      max: 4,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
    });
    // An idle connection that breaks is replaced; without a listener it would end the process.
    pool.on('error', (error) => console.error(`Database connection lost: ${error.message}`));
  }
  return pool;
}

export async function closeDatabase() {
  await pool?.end();
  pool = undefined;
}

const encode = (value) => JSON.stringify(value, BufferJSON.replacer);
const decode = (text) => JSON.parse(text, BufferJSON.reviver);

export async function storedCompanies() {
  const { rows } = await database().query('SELECT company_id FROM whatsapp_auth ORDER BY company_id');
  return rows.map((row) => row.company_id);
}

export async function useDatabaseAuthState(companyId) {
  const { rows } = await database().query('SELECT creds::text FROM whatsapp_auth WHERE company_id = $1', [companyId]);
  const creds = rows.length ? decode(rows[0].creds) : initAuthCreds();

  return {
    created: rows.length === 0,
    state: {
      creds,
      keys: {
        // A row past its expiry is read like any other until the cleanup deletes it.
        // Errors are raised: an unreadable key is not a missing one.
        async get(type, ids) {
          const found = await database().query(
            `SELECT key_id, value::text FROM whatsapp_keys
              WHERE company_id = $1 AND key_type = $2 AND key_id = ANY($3)`,
            [companyId, type, ids],
          );
          const data = Object.fromEntries(ids.map((id) => [id, null]));
          for (const row of found.rows) {
            const value = decode(row.value);
            data[row.key_id] = type === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(value) : value;
          }
          return data;
        },

        // One statement, so all keys of a transaction are stored or none.
        async set(data) {
          const kept = { types: [], ids: [], values: [] };
          const gone = { types: [], ids: [] };
          for (const [type, entries] of Object.entries(data)) {
            for (const [id, value] of Object.entries(entries ?? {})) {
              const side = value ? kept : gone;
              side.types.push(type);
              side.ids.push(id);
              if (value) kept.values.push(encode(value));
            }
          }
          if (!kept.ids.length && !gone.ids.length) return;
          await database().query(
            `WITH gone AS (
               DELETE FROM whatsapp_keys k USING unnest($5::text[], $6::text[]) AS g(key_type, key_id)
                WHERE k.company_id = $1 AND k.key_type = g.key_type AND k.key_id = g.key_id)
             INSERT INTO whatsapp_keys (company_id, key_type, key_id, value)
             SELECT $1, n.key_type, n.key_id, n.value::jsonb
               FROM unnest($2::text[], $3::text[], $4::text[]) AS n(key_type, key_id, value)
             ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = EXCLUDED.value`,
            [companyId, kept.types, kept.ids, kept.values, gone.types, gone.ids],
          );
        },
      },
    },

    async saveCreds() {
      await database().query(
        `INSERT INTO whatsapp_auth (company_id, creds) VALUES ($1, $2::jsonb)
         ON CONFLICT (company_id) DO UPDATE SET creds = EXCLUDED.creds`,
        [companyId, encode(creds)],
      );
    },
  };
}
