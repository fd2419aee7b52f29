// The commands: making a login, loading it as a rehearsal, enrolling a foreign one, MCP.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { COMPANY, CONTACT, databaseUrl, root, Sandbox, until } from './helpers.js';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

test('make-login: 337 files of every key type, 50 to 100 rows by the TTL rule', async (t) => {
  const sandbox = await Sandbox.create(t, { login: false });
  sandbox.makeLogin();
  const folder = join(sandbox.sessions, `company_${COMPANY}`);
  const names = readdirSync(folder);
  const json = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  assert.equal(names.length, 337);

  for (const pattern of [
    /^creds\.json$/, /^pre-key-\d+\.json$/, /^session-\d+\.0\.json$/, /^session-\d+_1\.0\.json$/, /^session-\d+_1\.37\.json$/,
    /^session-\d+_128\.99\.json$/, /^session-\d+_129\.99\.json$/, /^sender-key-\d+@g\.us--\d+_1--37\.json$/,
    /^sender-key-\d+-\d+@g\.us--\d+--0\.json$/, /^sender-key-status@broadcast--/, /^sender-key-memory-\d+@g\.us\.json$/,
    /^sender-key-memory-\d+-\d+@g\.us\.json$/, /^app-state-sync-key-.*__.*\.json$/, /^app-state-sync-key-.*\+.*\.json$/,
    /^app-state-sync-version-critical_unblock_low\.json$/, /^lid-mapping-\d+\.json$/, /^lid-mapping-\d+_reverse\.json$/,
    /^device-list-\d+\.json$/, /^tctoken-__index\.json$/, /^tctoken-\d+@lid\.json$/, /^identity-key-/,
  ]) assert.ok(names.some((name) => pattern.test(name)), String(pattern));

  const creds = json('creds.json');
  assert.ok(names.includes(`app-state-sync-key-${creds.myAppStateKeyId.replaceAll('/', '__')}.json`));
  assert.ok(names.includes(`pre-key-${creds.nextPreKeyId - 1}.json`));
  assert.equal(typeof json(names.find((name) => name.startsWith('app-state-sync-key-'))).keyData, 'string');

  const withSession = new Set(names.filter((name) => name.startsWith('session-')).map((name) => name.match(/\d+/)[0]));
  const kept = names.filter((name) => {
    if (!name.startsWith('lid-mapping-')) return name !== 'creds.json';
    const users = [name.match(/\d+/)[0], json(name)];
    assert.equal(typeof users[1], 'string');
    const recent = statSync(join(folder, name)).mtimeMs > Date.now() - WEEK_MS;
    return recent || users.some((user) => withSession.has(user));
  });
  assert.ok(kept.length >= 50 && kept.length <= 100, `${kept.length} rows`);
});

test('load-auth-state: both stores give the same; without a login it fails and makes none', async (t) => {
  const sandbox = await Sandbox.create(t);
  const load = async (store, company = COMPANY) => {
    const loading = sandbox.start('scripts/load-auth-state.js', { args: ['--company', company, '--store', store] });
    return { code: await loading.ended, output: loading.output };
  };
  const { code, output } = await load('files');
  assert.equal(code, 0, output);
  const { store, ...files } = JSON.parse(output);
  assert.equal(store, 'files');
  assert.equal(Object.keys(files.keys).length, 10);
  if (databaseUrl) {
    await sandbox.filesToDatabase();
    assert.deepEqual({ ...JSON.parse((await load('database')).output), store: undefined }, { ...files, store: undefined });
    const missing = await load('database', '1');
    assert.equal(missing.code, 1);
    assert.match(missing.output, /whatsapp_auth has no row/);
    assert.equal((await sandbox.sql.query('SELECT 1 FROM whatsapp_auth')).rowCount, 1);
  }
  assert.match((await load('files', '1')).output, /creds\.json is missing/);
  assert.deepEqual(readdirSync(sandbox.sessions), [`company_${COMPANY}`]);
  truncateSync(join(sandbox.sessions, `company_${COMPANY}`, 'creds.json'), 100);
  const torn = await load('files');
  assert.equal(torn.code, 1);
  assert.match(torn.output, /creds\.json is torn/);
});

test('enrol: a login from elsewhere talks with anybody, also with sessions that lead nowhere', async (t) => {
  const sandbox = await Sandbox.create(t);
  rmSync(sandbox.networkState, { recursive: true }); // the contacts it knew are gone
  const network = await sandbox.startNetwork();
  const enrol = sandbox.start('scripts/enrol.js', { args: ['--sessions', sandbox.sessions, '--network', `http://127.0.0.1:${sandbox.networkPort}`] });
  assert.equal(await enrol.ended, 0, enrol.output);
  const bot = await sandbox.startBot();
  assert.equal(await sandbox.ask('79680000000', 'New to both'), 'Answer to: New to both');
  assert.equal(await sandbox.ask(CONTACT, 'Known before'), 'Answer to: Known before');
  assert.match(bot.output, /asks for a new session/);
  const run = await sandbox.traffic(20, 1);
  assert.equal(run.decrypted, 20, JSON.stringify(run) + network.output + bot.output);
  assert.equal(run.answered, 20);
});

test('MCP: the runbook\'s tools over stdio and HTTP; no answer is ordinary text', async (t) => {
  const sandbox = await Sandbox.create(t);
  await sandbox.startNetwork();
  await sandbox.startBot();
  const http = sandbox.healthPort + 1;
  sandbox.start('scripts/mcp-server.js', { args: ['--http', String(http)] });
  const transports = [
    new StdioClientTransport({ command: process.execPath, args: [join(root, 'scripts/mcp-server.js')], cwd: sandbox.app }),
    new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${http}/mcp`)),
  ];
  await until('MCP over HTTP', () => fetch(`http://127.0.0.1:${http}/`).catch(() => false));
  for (const transport of transports) {
    const client = new Client({ name: 'test', version: '1.0.0' });
    await client.connect(transport);
    const call = async (name, args) => (await client.callTool({ name, arguments: args })).content[0].text;
    assert.match(await call('send_message', { phone: '89001234567', message: 'Привет! Тест database auth' }), /^Message sent/);
    assert.equal(await call('get_last_response', { phone: '89001234567' }), 'Answer to: Привет! Тест database auth');
    if (transport instanceof StdioClientTransport) {
      const silent = await client.callTool({ name: 'get_last_response', arguments: { phone: '79990000000' } });
      assert.equal(silent.content[0].text, 'No response received');
      assert.ok(!silent.isError);
    }
    await client.close();
  }
});
