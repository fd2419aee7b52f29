// One login, from the store that USE_DATABASE_AUTH_STATE names.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { useMultiFileAuthState } from 'baileys';
import { config } from '../config.js';
import { storedCompanies, useDatabaseAuthState } from './database.js';

export const sessionFolder = (companyId) => join(config.sessionsDir, `company_${companyId}`);

/** Like Baileys itself, takes a torn creds.json for "no login". */
async function useFileAuthState(companyId) {
  const folder = sessionFolder(companyId);
  const stored = await readFile(join(folder, 'creds.json'), 'utf8').then(JSON.parse).catch(() => null);
  return { ...(await useMultiFileAuthState(folder)), created: !stored };
}

/** Baileys' auth state {state, saveCreds}, whether it was `created` just now, and its `store`. */
export async function useAuthState(companyId, store = config.store) {
  const open = store === 'database' ? useDatabaseAuthState : useFileAuthState;
  return { ...(await open(companyId)), store };
}

export async function companyFolders() {
  const entries = await readdir(config.sessionsDir, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory() && entry.name.startsWith('company_'))
    .map((entry) => entry.name.slice('company_'.length)).sort();
}

/**
 * Each company folder; in database mode also each stored row. A folder without a row is opened
 * all the same, from the database: it gets a NEW login there.
 */
export async function companies() {
  if (config.companyIds.length) return config.companyIds;
  const found = new Set(await companyFolders());
  if (config.store === 'database') for (const companyId of await storedCompanies()) found.add(companyId);
  return [...found].sort();
}

/** What must never change, whatever the store: the pairing with the phone. */
export function identityDigest(creds) {
  const publicKey = Buffer.from(creds.signedIdentityKey.public).toString('base64');
  const identity = [creds.registrationId, publicKey, creds.me?.id ?? null];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');
}
