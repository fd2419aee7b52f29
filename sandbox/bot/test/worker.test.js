// The cleanup worker's lines, which the runbook waits for, and what it deletes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsDatabase, Sandbox } from './helpers.js';

test('database mode: expired keys are deleted 5 s after the start', needsDatabase, async (t) => {
  const sandbox = await Sandbox.create(t, { store: 'database', login: false });
  await sandbox.sql.query(`INSERT INTO whatsapp_keys (company_id, key_type, key_id, value, expires_at)
    VALUES ('1', 'lid-mapping', 'old', '"1"', now() - interval '1 s'), ('1', 'lid-mapping', 'kept', '"2"', NULL)`);
  const worker = sandbox.start('src/worker.js');
  await worker.prints('🤖 Database auth state enabled - starting automatic cleanup');
  const started = Date.now();
  await worker.prints('🧹 Starting automatic cleanup of expired WhatsApp keys...');
  assert.ok(Date.now() - started > 4000);
  await worker.prints('1 expired keys deleted');
  const { rows } = await sandbox.sql.query('SELECT key_id FROM whatsapp_keys');
  assert.deepEqual(rows, [{ key_id: 'kept' }]);
  assert.equal(await worker.stop('SIGINT'), 0);
});

test('file mode: no cleanup', async (t) => {
  const sandbox = await Sandbox.create(t, { login: false });
  const worker = sandbox.start('src/worker.js');
  await worker.prints('Using file auth state');
  assert.equal(await worker.stop('SIGTERM'), 0);
  assert.doesNotMatch(worker.output, /cleanup of expired/);
});

test('a flag in the process environment beats .env, as under pm2', needsDatabase, async (t) => {
  const sandbox = await Sandbox.create(t, { store: 'database', login: false });
  const worker = sandbox.start('src/worker.js', { env: { USE_DATABASE_AUTH_STATE: 'false' } });
  await worker.prints('Using file auth state');
});
