// The bot as a process, on real ratchets: it works only when its stored keys decrypt.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMPANY, CONTACT, makeLoginIn, needsDatabase, Sandbox, until } from './helpers.js';

const STORE_LINES = {
  files: `📁 Using file auth state for company ${COMPANY}`,
  database: `🗄️  Using database auth state for company ${COMPANY}`,
};

const allDecrypted = (run) => assert.deepEqual(
  { failed: run.failed, waiting: run.waiting, errors: run.errors, unreadable: run.answers_unreadable, decrypted: run.decrypted + run.decrypted_before },
  { failed: 0, waiting: 0, errors: {}, unreadable: 0, decrypted: run.sent });

// Baileys writes its files in place: a SIGKILL can tear one, and with it a session. A row is whole.
for (const [store, options, signal] of [['files', {}, 'SIGINT'], ['database', needsDatabase, 'SIGKILL']]) {
  test(`conversations go on from ${store}, through ${signal} to the bot and SIGKILL to the network`, options, async (t) => {
    const sandbox = await Sandbox.create(t, { store });
    const network = await sandbox.startNetwork();
    let bot;
    const waiting = async () => (await sandbox.network('/health')).logins[0].waiting;
    const run = await sandbox.traffic(20, 4, async () => {
      await until('messages that wait for the bot', async () => await waiting() > 10);
      bot = await sandbox.startBot();
      await until('a few delivered', async () => await waiting() < 10);
      await bot.stop(signal);
      bot = await sandbox.startBot();
    });
    allDecrypted(run);
    assert.equal(run.sent, 80);
    assert.ok(run.group >= run.sent * 0.2 && run.first >= run.sent * 0.05, JSON.stringify(run));

    assert.ok(bot.output.includes(STORE_LINES[store]));
    const { status, companies: [company] } = await sandbox.bot('/health');
    assert.equal(status, 'ok');
    assert.equal(company.company_id, COMPANY);
    assert.equal(company.store, store);
    assert.match(company.identity, /^[0-9a-f]{64}$/);
    assert.equal(await sandbox.ask(CONTACT, 'Known for months'), 'Answer to: Known for months');
    assert.equal(await sandbox.ask('8 968 648-44-88', 'Never met'), 'Answer to: Never met');

    await network.stop('SIGKILL');
    await sandbox.startNetwork();
    await until('a new connection', async () => (await sandbox.bot('/health')).companies[0].connection === 'open');
    assert.equal(await sandbox.ask(CONTACT, 'Still there'), 'Answer to: Still there');
    assert.equal(await bot.stop('SIGINT'), 0);
  });
}

test('a store that was left behind cannot decrypt', async (t) => {
  const sandbox = await Sandbox.create(t);
  const folder = join(sandbox.sessions, `company_${COMPANY}`);
  const stale = join(sandbox.folder, 'stale');
  cpSync(folder, stale, { recursive: true });
  await sandbox.startNetwork();
  const bot = await sandbox.startBot();
  allDecrypted(await sandbox.traffic(30, 2));
  await bot.stop();

  rmSync(folder, { recursive: true });
  cpSync(stale, folder, { recursive: true });
  const left = await sandbox.startBot();
  const run = await sandbox.traffic(30, 2);
  assert.ok(run.failed > 0, JSON.stringify(run));
  assert.match(left.output, /Bad MAC|No matching sessions|Invalid PreKey ID/);
});

test('another identity of the same phone is logged out (401)', async (t) => {
  const sandbox = await Sandbox.create(t);
  rmSync(sandbox.sessions, { recursive: true });
  makeLoginIn(sandbox.sessions, join(sandbox.folder, 'other')); // the same phone, other keys
  await sandbox.startNetwork();
  const bot = sandbox.start('src/baileys-service.js');
  await bot.prints('closed: 401 Connection Failure');
  await bot.prints('Logged out');
  assert.equal((await sandbox.bot('/health')).companies[0].connection, 'logged_out');
  await assert.rejects(sandbox.bot('/send', { phone: CONTACT, message: 'x' }), /not connected/);
});

test('a second process on the same login replaces the first (440)', async (t) => {
  const sandbox = await Sandbox.create(t);
  await sandbox.startNetwork();
  const first = await sandbox.startBot();
  sandbox.healthPort += 1;
  sandbox.configure('files');
  await sandbox.startBot();
  await first.prints('closed: 440 Stream Errored (conflict)');
});

test('two companies share a network and its contacts', async (t) => {
  const sandbox = await Sandbox.create(t);
  makeLoginIn(sandbox.sessions, sandbox.networkState, '--company', '111111');
  await sandbox.startNetwork();
  const bot = await sandbox.startBot();
  await bot.prints('Company 111111 connected');
  for (const company of [COMPANY, '111111']) {
    await sandbox.bot('/send', { phone: CONTACT, message: `From ${company}`, company_id: company });
    await until('the answer', async () => (
      await sandbox.bot(`/last-response?phone=${CONTACT}&company_id=${company}`)).response === `Answer to: From ${company}`);
  }
  allDecrypted(await sandbox.traffic(20, 1));
});

test('in database mode a folder without a row gets a new login', needsDatabase, async (t) => {
  const sandbox = await Sandbox.create(t, { store: 'database' });
  mkdirSync(join(sandbox.sessions, 'company_111111'));
  await sandbox.startNetwork();
  const bot = await sandbox.startBot();
  assert.match(bot.output, /No existing credentials for company 111111/);
  assert.match(bot.output, /QR code to pair company 111111/);
  const { rows } = await sandbox.sql.query('SELECT company_id, creds->\'me\' AS me FROM whatsapp_auth ORDER BY 1');
  assert.deepEqual(rows.map((row) => row.company_id), ['111111', COMPANY]);
  assert.equal(rows[0].me, null);
});

test('a store that fails is no message that fails', needsDatabase, async (t) => {
  const sandbox = await Sandbox.create(t, { store: 'database' });
  await sandbox.startNetwork();
  const bot = await sandbox.startBot();
  assert.equal(await sandbox.ask(CONTACT, 'Well'), 'Answer to: Well');
  await sandbox.sql.query('ALTER TABLE whatsapp_keys RENAME TO away');
  await sandbox.network('/messages', { phone: CONTACT, message: 'During the outage' });
  await bot.prints('Auth state store failed');
  await sandbox.sql.query('ALTER TABLE away RENAME TO whatsapp_keys');
  await until('the message', async () => (await sandbox.network('/health')).logins[0].waiting === 0);
  assert.doesNotMatch(bot.output, /Failed to decrypt/);
  assert.equal(await sandbox.ask(CONTACT, 'Well again'), 'Answer to: Well again');
});
