// The auth state as Baileys asks for it, in both stores.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { addTransactionCapability, decodeSyncdPatch, encodeSyncdPatch, initAuthCreds, newLTHashState, proto } from 'baileys';
import { baileysLogger } from '../src/log.js';
import { COMPANY, databaseUrl, needsDatabase, Sandbox } from './helpers.js';

// The app's code reads its settings once, when it is loaded: the test's own come first.
const sandboxes = { close: [] };
const sandbox = await Sandbox.create({ after: (remove) => sandboxes.close.push(remove) }, { login: false });
Object.assign(process.env, { SESSIONS_DIR: sandbox.sessions, DATABASE_URL: databaseUrl ? sandbox.databaseUrl : '' });
const { companies, identityDigest, useAuthState } = await import('../src/auth/index.js');
const { closeDatabase, database } = await import('../src/auth/database.js');
const { config } = await import('../src/config.js');
test.after(async () => {
  await closeDatabase();
  for (const remove of sandboxes.close) await remove();
});

const bytes = (...values) => Buffer.from(values);
const KEYS = {
  'pre-key': { 1: { public: bytes(1, 2, 3), private: bytes(4, 5, 6) } },
  session: { '79686484488.0': { _sessions: { 'AA==': { registrationId: 7, chains: {} } }, version: 'v1' }, '102765716062358_1.37': { version: 'v1' } },
  'sender-key': { '79001234567-1612345678@g.us::102765716062358_1::12': bytes(0, 255), 'status@broadcast::79001234567::3': bytes(9) },
  'sender-key-memory': { '120363041234567890@g.us': { '79001234567@s.whatsapp.net': true } },
  'app-state-sync-version': { regular: { version: 3, hash: Buffer.alloc(128, 1), indexValueMap: { 'a/+=': { valueMac: bytes(1) } } } },
  'lid-mapping': { 79686484488: '102765716062358', '102765716062358_reverse': '79686484488' },
  'device-list': { 79686484488: ['0', '37'] },
  tctoken: { __index: { token: Buffer.from('["102765716062358@lid"]') }, '102765716062358@lid': { token: bytes(5), timestamp: '1700000000' } },
  'identity-key': { '102765716062358_1.37': bytes(5, 6) },
};

const appStateKey = () => proto.Message.AppStateSyncKeyData.fromObject({ keyData: Buffer.alloc(32, 7), timestamp: 1700000000 });

for (const [store, options] of [['files', {}], ['database', needsDatabase]]) {
  test(`${store}: every type comes back as it was set, and null deletes`, options, async () => {
    const { state, saveCreds, created } = await useAuthState('1', store);
    assert.equal(created, true);
    state.creds.me = { id: '79990000001:12@s.whatsapp.net', name: 'Студия 💇' };
    await saveCreds();
    await state.keys.set(KEYS);

    const again = await useAuthState('1', store);
    assert.equal(again.created, false);
    assert.deepEqual(again.state.creds, JSON.parse(JSON.stringify(state.creds), (_, value) => (value?.type === 'Buffer' ? Buffer.from(value.data) : value)));
    assert.equal(identityDigest(again.state.creds), identityDigest(state.creds));
    for (const [type, values] of Object.entries(KEYS)) {
      assert.deepEqual(await again.state.keys.get(type, Object.keys(values)), values, type);
    }
    assert.equal(typeof (await again.state.keys.get('lid-mapping', ['79686484488']))['79686484488'], 'string');

    await again.state.keys.set({ 'pre-key': { 1: null, 2: KEYS['pre-key'][1] }, session: { '79686484488.0': null } });
    assert.deepEqual(await again.state.keys.get('pre-key', ['1', '2']), { 1: null, 2: KEYS['pre-key'][1] });
    assert.deepEqual(await again.state.keys.get('session', ['79686484488.0', 'none']), { '79686484488.0': null, none: null });
  });

  test(`${store}: a patch of the app state is encoded and decoded with stored keys`, options, async () => {
    const { state: { keys } } = await useAuthState('2', store);
    const id = 'AAA/AK+/';
    await keys.set({ 'app-state-sync-key': { [id]: appStateKey() } });
    const stored = async (keyId) => (await keys.get('app-state-sync-key', [keyId]))[keyId];
    assert.ok((await stored(id)).keyData instanceof Uint8Array);

    const change = {
      type: 'regular', index: ['mute', '79001234567@s.whatsapp.net'], syncAction: { timestamp: 1, muteAction: { muted: true } },
      apiVersion: 2, operation: proto.SyncdMutation.SyncdOperation.SET,
    };
    const { patch, state: after } = await encodeSyncdPatch(change, id, newLTHashState(), stored);
    const seen = [];
    const decoded = await decodeSyncdPatch(
      { ...patch, version: { version: after.version } }, 'regular', { ...newLTHashState(), version: after.version }, stored, (mutation) => seen.push(mutation), true);
    assert.deepEqual(seen.map((mutation) => mutation.index), [change.index]);
    assert.equal(seen[0].syncAction.value.muteAction.muted, true);
    assert.deepEqual(decoded.hash, after.hash);
  });
}

test('database: what Baileys commits in one transaction is stored whole or not at all', needsDatabase, async () => {
  const { state: { keys } } = await useAuthState('3', 'database');
  await keys.set({ session: { a: { version: 1 } } });
  const bad = { session: { a: null, b: { version: 2 } }, tctoken: { c: { timestamp: '\u0000' } } };
  await assert.rejects(keys.set(bad), /unsupported Unicode escape sequence/);
  assert.deepEqual(await keys.get('session', ['a', 'b']), { a: { version: 1 }, b: null });

  const capable = addTransactionCapability(keys, baileysLogger, { maxCommitRetries: 1, delayBetweenTriesMs: 1 });
  await capable.transaction(async () => {
    for (let id = 1; id <= 812; id += 1) await capable.set({ 'pre-key': { [id]: KEYS['pre-key'][1] } });
  }, 'many');
  const { rows } = await database().query(`SELECT count(*)::int FROM whatsapp_keys WHERE company_id = '3' AND key_type = 'pre-key'`);
  assert.equal(rows[0].count, 812);
});

test('database: a row past its expiry is read until it is deleted', needsDatabase, async () => {
  const { state: { keys } } = await useAuthState('4', 'database');
  await keys.set({ 'lid-mapping': { 1: '2' } });
  await database().query(`UPDATE whatsapp_keys SET expires_at = now() - interval '1 day' WHERE company_id = '4'`);
  assert.deepEqual(await keys.get('lid-mapping', ['1']), { 1: '2' });
});

test('database: errors are raised, never read as "no key" or "no login"', needsDatabase, async () => {
  const { state: { keys }, saveCreds } = await useAuthState('5', 'database');
  await database().query('ALTER TABLE whatsapp_keys RENAME TO away_keys; ALTER TABLE whatsapp_auth RENAME TO away_auth');
  try {
    await assert.rejects(keys.get('session', ['a']), /whatsapp_keys/);
    await assert.rejects(keys.set({ session: { a: null } }), /whatsapp_keys/);
    await assert.rejects(saveCreds(), /whatsapp_auth/);
    await assert.rejects(useAuthState('5', 'database'), /whatsapp_auth/);
  } finally {
    await database().query('ALTER TABLE away_keys RENAME TO whatsapp_keys; ALTER TABLE away_auth RENAME TO whatsapp_auth');
  }
});

test('files: a torn creds.json is read as no login, as Baileys does', async () => {
  const { state, saveCreds } = await useAuthState('6', 'files');
  await saveCreds();
  writeFileSync(`${sandbox.sessions}/company_6/creds.json`, '{"noiseKey":');
  const torn = await useAuthState('6', 'files');
  assert.equal(torn.created, true);
  assert.notEqual(identityDigest(torn.state.creds), identityDigest(state.creds));
});

test('companies: the folders in file mode, folders and rows in database mode', needsDatabase, async () => {
  rmSync(sandbox.sessions, { recursive: true, force: true });
  await (await useAuthState('7', 'files')).saveCreds();
  await (await useAuthState(COMPANY, 'database')).saveCreds();
  assert.deepEqual(await companies(), ['7']);
  config.store = 'database';
  assert.deepEqual((await companies()).filter((id) => ['7', COMPANY].includes(id)), ['7', COMPANY]);
  config.store = 'files';
});

test('the identity is the registration id, the public identity key and the phone', () => {
  const creds = { ...initAuthCreds(), registrationId: 7, me: { id: 'x' }, signedIdentityKey: { public: bytes(1, 2, 3), private: bytes(0) } };
  assert.equal(identityDigest(creds), '55d0c4e566ff1f501b5e565f8319433c5e571e085e74691e0d3acd84dbcda050');
});
