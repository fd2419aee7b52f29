// A sandbox of one test: folders, processes, a schema of its own. Everything is taken away after it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

export const root = join(import.meta.dirname, '..');
export const databaseUrl = process.env.TEST_DATABASE_URL;
export const needsDatabase = { skip: databaseUrl ? false : 'TEST_DATABASE_URL is not set' };
export const COMPANY = '962302';
export const CONTACT = '79001234567';

export async function until(what, condition, seconds = 10) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > deadline) assert.fail(`Waited ${seconds} s for: ${what}`);
    await pause(50);
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

class Process {
  constructor(script, { cwd, env = {}, args = [] }) {
    this.output = '';
    this.script = script;
    this.child = spawn(process.execPath, [join(root, script), ...args], { cwd, env: { PATH: process.env.PATH, ...env } });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => { this.output += chunk; });
    }
    this.ended = new Promise((resolve) => { this.child.once('exit', (code, signal) => resolve(signal ?? code)); });
  }

  prints(text, seconds) {
    return until(`"${text}" in:\n${this.output}`, () => this.output.includes(text), seconds);
  }

  stop(signal = 'SIGINT') {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Whatever a test is about: no phone number and no key in the log of a process. */
function assertDiscreet({ script, output }) {
  assert.doesNotMatch(output, /\d{10}/, `a phone number in the log of ${script}`);
  assert.doesNotMatch(output, /ephemeralKeyPair|chainKey|privKey:|rootKey/, `key material in the log of ${script}`);
}

export class Sandbox {
  #processes = [];
  #schema = `test_${process.pid}_${Date.now()}`;

  /** @param t the test's context, which takes the sandbox away */
  static async create(t, { store = 'files', login = true } = {}) {
    const sandbox = new Sandbox();
    sandbox.folder = mkdtempSync(join(tmpdir(), 'bot-'));
    t.after(() => sandbox.remove());
    sandbox.app = join(sandbox.folder, 'app');
    sandbox.networkState = join(sandbox.folder, 'network');
    sandbox.sessions = join(sandbox.app, 'baileys_sessions');
    mkdirSync(sandbox.app);
    sandbox.healthPort = await freePort();
    sandbox.networkPort = await freePort();
    if (databaseUrl) await sandbox.#createSchema();
    if (login) sandbox.makeLogin();
    sandbox.configure(store);
    if (store === 'database' && login) await sandbox.filesToDatabase();
    return sandbox;
  }

  async remove() {
    await Promise.all(this.#processes.map((process) => process.stop('SIGKILL')));
    if (this.sql) {
      await this.sql.query(`DROP SCHEMA ${this.#schema} CASCADE`);
      await this.sql.end();
    }
    rmSync(this.folder, { recursive: true });
    this.#processes.filter(({ script }) => script.startsWith('src/')).forEach(assertDiscreet);
  }

  get databaseUrl() {
    const url = new URL(databaseUrl);
    url.searchParams.set('options', `-csearch_path=${this.#schema}`);
    return url.href;
  }

  configure(store, more = {}) {
    const settings = {
      USE_DATABASE_AUTH_STATE: store === 'database', DATABASE_URL: this.sql ? this.databaseUrl : '',
      HEALTH_PORT: this.healthPort, NETWORK_URL: `http://127.0.0.1:${this.networkPort}`, ...more,
    };
    writeFileSync(join(this.app, '.env'), Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(''));
  }

  /** A login, and the network that knows it: made once, then copied. */
  makeLogin() {
    template ??= makeTemplate();
    cpSync(join(template, 'sessions'), this.sessions, { recursive: true, preserveTimestamps: true });
    cpSync(join(template, 'network'), this.networkState, { recursive: true });
  }

  start(script, options = {}) {
    const started = new Process(script, { cwd: this.app, ...options });
    this.#processes.push(started);
    return started;
  }

  async startNetwork() {
    const env = { NETWORK_STATE_DIR: this.networkState, NETWORK_PORT: String(this.networkPort) };
    const network = this.start('src/network/index.js', { env });
    await network.prints('Simulated WhatsApp network');
    return network;
  }

  async startBot() {
    const bot = this.start('src/baileys-service.js');
    await bot.prints(`Company ${COMPANY} connected`);
    return bot;
  }

  async bot(path, body) {
    return request(`http://127.0.0.1:${this.healthPort}${path}`, body);
  }

  async network(path, body) {
    return request(`http://127.0.0.1:${this.networkPort}${path}`, body);
  }

  /** Sends a text to a phone through the bot, and returns the contact's answer. */
  async ask(phone, message) {
    await this.bot('/send', { phone, message });
    return until(`an answer from ${phone}`, async () => (await this.bot(`/last-response?phone=${phone}`)).response);
  }

  /** Contacts write; returns what became of their messages. */
  async traffic(rate, seconds, meanwhile = async () => {}) {
    const { id } = await this.network('/traffic', { rate, seconds });
    await meanwhile();
    return until('the end of the traffic', async () => {
      const run = await this.network(`/traffic/${id}`);
      return run.finished && run;
    }, seconds + 40);
  }

  async #createSchema() {
    this.sql = new pg.Client({ connectionString: databaseUrl });
    await this.sql.connect();
    await this.sql.query(`CREATE SCHEMA ${this.#schema}; SET search_path = ${this.#schema};
      ${readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8')}`);
  }

  /** A bare copy, for these tests only: what moves real logins is no part of the bot. */
  async filesToDatabase(company = COMPANY) {
    const folder = join(this.sessions, `company_${company}`);
    for (const name of readdirSync(folder)) {
      const text = readFileSync(join(folder, name), 'utf8');
      if (name === 'creds.json') await this.sql.query('INSERT INTO whatsapp_auth (company_id, creds) VALUES ($1, $2)', [company, text]);
      else await this.sql.query('INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES ($1, $2, $3, $4)', [company, ...keyOf(name), text]);
    }
  }
}

let template;

function makeTemplate() {
  const folder = mkdtempSync(join(tmpdir(), 'bot-login-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  makeLoginIn(join(folder, 'sessions'), join(folder, 'network'));
  return folder;
}

export function makeLoginIn(sessions, networkState, ...more) {
  const args = ['scripts/make-login.js', '--sessions', sessions, '--network-state', networkState, ...more];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root }));
}

const TYPES = /^(app-state-sync-key|app-state-sync-version|sender-key-memory|sender-key|device-list|identity-key|lid-mapping|pre-key|session|tctoken)-(.+)\.json$/;

function keyOf(name) {
  const [, type, id] = name.match(TYPES);
  if (type === 'app-state-sync-key') return [type, id.replaceAll('__', '/')];
  if (type === 'sender-key') return [type, id.replace(/--([^-]+)--(\d+)$/, '::$1::$2')];
  return [type, id];
}

async function request(url, body) {
  const response = await fetch(url, body && { method: 'POST', body: JSON.stringify(body) });
  const result = await response.json();
  if (!response.ok) throw new Error(result.error ?? JSON.stringify(result));
  return result;
}
