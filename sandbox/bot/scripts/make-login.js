// Makes a company's login as months of use would leave it: written by Baileys itself, with real
// conversations, groups and app-state keys, and mostly old lid-mappings. The contacts that it
// talked with go into the network's folder of state; no network may be running on that folder.
//
//   node scripts/make-login.js --sessions DIR --network-state DIR [--company 962302] [--files 337]
//                              [--phone 79990962302] [--contact 79001234567] [--seed 1]
//
// --phone is the login's own number, by default made of the company's. --contact is one of the phones
// that already talked with the bot. The seed fixes names and ages, never keys. Several companies may
// share a network and its contacts. Beyond 1000 files half of the rest are customers with sessions, copied
// from a real one: weight for measuring, not conversations.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  createSignalIdentity, encodeSyncdPatch, getNextPreKeys, initAuthCreds, newLTHashState, proto, useMultiFileAuthState,
} from 'baileys';
import { buildMergedTcTokenIndexWrite } from 'baileys/lib/Utils/tc-token-utils.js';
import { guardConsole } from '../src/log.js';
import { Journal } from '../src/network/journal.js';
import { publicLogin } from '../src/network/login.js';
import { World } from '../src/network/world.js';
import { answerTo, plain } from '../src/whatsapp/message.js';
import { Party } from '../src/whatsapp/party.js';

const PRE_KEYS_LEFT = 14;
const RECENT_STRANGERS = 2;
const APP_STATE_KEY_IDS = ['AAAAAK6J', 'AAA/AK+/', 'AAA+AK/+'];
const COLLECTIONS = ['critical_block', 'critical_unblock_low', 'regular', 'regular_high', 'regular_low'];
const BATCH = 500;
const DAY_MS = 24 * 60 * 60 * 1000;

const { values: options } = parseArgs({
  options: {
    sessions: { type: 'string' },
    'network-state': { type: 'string' },
    company: { type: 'string', default: '962302' },
    files: { type: 'string', default: '337' },
    phone: { type: 'string' },
    contact: { type: 'string', default: '79001234567' },
    seed: { type: 'string', default: '1' },
  },
});

/** Reproducible numbers (mulberry32), others for each company. */
function numbers(seed) {
  let state = createHash('sha256').update(seed).digest().readInt32LE();
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

guardConsole();
if (!options.sessions || !options['network-state']) throw new Error('--sessions and --network-state are needed');
const folder = join(options.sessions, `company_${options.company}`);
if (existsSync(folder)) throw new Error(`${folder} is there already`);
const wanted = Number(options.files);
const random = numbers(`${options.seed}/${options.company}`);
const digits = (count) => String(random(10 ** count)).padStart(count, '0');
const ownPhone = options.phone ?? `7999${options.company.replace(/\D/g, '').padStart(7, '0').slice(-7)}`;
const lidUser = () => String(102_000_000_000_000 + random(2 ** 31) * 100 + random(100));

const started = performance.now();
const { state, saveCreds } = await useMultiFileAuthState(folder);
const { keys } = state;
const creds = Object.assign(state.creds, newCreds());
const journal = new Journal(join(options['network-state'], 'network.ndjson'));
const world = new World(journal);

const addresses = contactAddresses();
const preKeys = await offerPreKeys(PRE_KEYS_LEFT + addresses.length);
world.register(publicLogin(creds, preKeys));
const login = world.login(creds.me.id);
const party = new Party({ creds, keys }, (node) => world.answer(node, login));

const contacts = addresses.map((me) => world.meet(me));
for (const contact of contacts) await talk(contact);
await talkInGroup(`120363${digits(6)}${digits(6)}@g.us`, [contacts[1], contacts[3]]);
await talkInGroup(`${options.contact}-16${digits(8)}@g.us`, [contacts[2], contacts[5]]);
for (const contact of contacts.slice(0, 2)) await say(contact, plain('My day'), 'status@broadcast');
party.close();

await keepAppState();
await keepTokens(contacts.slice(0, 4));
await saveCreds();
await keepCustomers(wanted > 1000 ? Math.floor((wanted - files()) / 12) : 0);
await keepStrangers(RECENT_STRANGERS, 0);
if ((wanted - files()) % 2) await offerPreKeys(1);
await saveCreds();
await keepStrangers((wanted - files()) / 2, 8);
age(contacts.flatMap((contact) => contact.users), 30);
journal.commit();

console.log(JSON.stringify({ company: options.company, files: files(), seconds: Number(((performance.now() - started) / 1000).toFixed(2)) }));
if (files() !== wanted) throw new Error(`${files()} files were written, not ${wanted}: too few asked for`);
process.exit(0);

function newCreds() {
  const fresh = initAuthCreds();
  const me = { id: `${ownPhone}:12@s.whatsapp.net`, lid: `${lidUser()}:12@lid`, name: 'Студия красоты' };
  return {
    ...fresh,
    me,
    registered: true,
    platform: 'android',
    accountSyncCounter: 1,
    lastAccountSyncTimestamp: Math.floor(Date.now() / 1000),
    routingInfo: randomBytes(8),
    signalIdentities: [createSignalIdentity(me.lid, randomBytes(32))],
    account: {
      details: randomBytes(24), accountSignatureKey: randomBytes(32), accountSignature: randomBytes(64), deviceSignature: randomBytes(64),
    },
  };
}

/** Every way in which a contact may be addressed: phone number, LID, companion device, hosted. */
function contactAddresses() {
  const phone = (number) => `7900765${String(number).padStart(4, '0')}`;
  return [
    { id: `${options.contact}@s.whatsapp.net`, lid: `${lidUser()}@lid` },
    { id: `${phone(1)}@s.whatsapp.net`, lid: `${lidUser()}@lid` },
    { id: `${phone(2)}@s.whatsapp.net` },
    { id: `${phone(3)}@s.whatsapp.net`, lid: `${lidUser()}:37@lid` },
    { id: `${phone(4)}@s.whatsapp.net` },
    { id: `${phone(5)}@s.whatsapp.net`, lid: `${lidUser()}@lid` },
    { id: `${phone(6)}@s.whatsapp.net`, lid: `${lidUser()}@lid` },
    { id: `${phone(7)}:99@hosted` },
    { id: `${phone(8)}@s.whatsapp.net`, lid: `${lidUser()}:99@hosted.lid` },
  ];
}

/** New one-time pre-keys, as Baileys makes them for the server. */
async function offerPreKeys(count) {
  const { update, preKeys: fresh } = await getNextPreKeys({ creds, keys }, count);
  Object.assign(creds, update);
  return Object.entries(fresh).map(([id, pair]) => [id, pair.public]);
}

/** A contact says something to the bot, which decrypts it with the keys it keeps. */
async function say(contact, content, chat) {
  const item = await world.write(contact, login, content, { chat });
  const received = await party.decrypt(await world.deliver(login, item));
  world.acknowledge(login, item.id);
  return received;
}

/** The bot says something; what the contacts answer reaches the bot. */
async function tell(node) {
  for (const { attrs } of await world.receive(login, node)) if (attrs.error || attrs.type) throw new Error(attrs.error ?? attrs.type);
  for (const item of world.waiting(login)) {
    await party.decrypt(await world.deliver(login, item));
    world.acknowledge(login, item.id);
  }
}

async function talk(contact) {
  const received = await say(contact, plain('Good day, is there a free hour tomorrow?'));
  await tell(await party.compose(received.author, answerTo(received, 'At three o’clock')));
  await say(contact, answerTo(received, 'That suits me'));
  await tell(await party.compose(contact.pn, plain('See you tomorrow')));
}

async function talkInGroup(id, members) {
  world.createGroup(id, login, members);
  for (const contact of members) await say(contact, plain('Hello everybody'), id);
  await tell(await party.composeGroup(id, await party.members(id), plain('Hello')));
}

/** Keys as a phone shares them, and one collection each with a real patch in its hash. */
async function keepAppState() {
  const key = () => proto.Message.AppStateSyncKeyData.fromObject({
    keyData: randomBytes(32),
    fingerprint: { rawId: random(2 ** 31), currentIndex: 1, deviceIndexes: [0, 12] },
    timestamp: Date.now(),
  });
  await keys.set({ 'app-state-sync-key': Object.fromEntries(APP_STATE_KEY_IDS.map((id) => [id, key()])) });
  creds.myAppStateKeyId = APP_STATE_KEY_IDS[1];

  for (const type of COLLECTIONS) {
    const change = {
      type, index: ['setting_pushName'], syncAction: { timestamp: Date.now(), pushNameSetting: { name: creds.me.name } },
      apiVersion: 1, operation: proto.SyncdMutation.SyncdOperation.SET,
    };
    const { state: version } = await encodeSyncdPatch(change, creds.myAppStateKeyId, newLTHashState(),
      async (id) => (await keys.get('app-state-sync-key', [id]))[id]);
    await keys.set({ 'app-state-sync-version': { [type]: version } });
  }
}

async function keepTokens(owners) {
  const now = Math.floor(Date.now() / 1000);
  const jids = owners.map(({ jid, pn }) => (jid.endsWith('lid') ? `${jid.split(/[:@]/)[0]}@lid` : pn));
  const tokens = jids.map((jid) => [jid, { token: randomBytes(20), timestamp: String(now - random(86_400)) }]);
  await keys.set({ tctoken: { ...Object.fromEntries(tokens), ...(await buildMergedTcTokenIndexWrite(keys, jids)) } });
}

/** Past customers with sessions of their own: six files each. */
async function keepCustomers(count) {
  const { user } = contacts[0].creds.me.lid.match(/^(?<user>\d+)/).groups;
  const address = `${user}_1.0`;
  const session = (await keys.get('session', [address]))[address];
  const identity = (await keys.get('identity-key', [address]))[address];
  for (let made = 0; made < count; made += BATCH) {
    const batch = { session: {}, 'identity-key': {}, 'device-list': {}, tctoken: {}, 'lid-mapping': {} };
    for (let number = made; number < Math.min(made + BATCH, count); number += 1) {
      const phone = `7902${String(number).padStart(7, '0')}`;
      const lid = lidUser();
      batch.session[`${lid}_1.0`] = session;
      batch['identity-key'][`${lid}_1.0`] = identity;
      batch['device-list'][phone] = ['0'];
      batch.tctoken[`${lid}@lid`] = { token: randomBytes(20), timestamp: String(Math.floor(Date.now() / 1000)) };
      Object.assign(batch['lid-mapping'], { [phone]: lid, [`${lid}_reverse`]: phone });
    }
    await keys.set(batch);
  }
}

/** People seen in groups: a pair of mappings each and no session, learnt days ago. */
async function keepStrangers(count, minimumDays) {
  for (let made = 0; made < count; made += BATCH) {
    const pairs = {};
    const ages = [];
    for (let number = made; number < Math.min(made + BATCH, count); number += 1) {
      const phone = `7901${minimumDays ? 1 : 0}${String(number).padStart(6, '0')}`;
      const lid = lidUser();
      Object.assign(pairs, { [phone]: lid, [`${lid}_reverse`]: phone });
      ages.push([[phone, lid], minimumDays ? minimumDays + random(80) : random(6)]);
    }
    await keys.set({ 'lid-mapping': pairs });
    for (const [users, days] of ages) age(users, days);
  }
}

/** Sets back the mtime of users' mappings: when they were learnt, as Baileys never rewrites them. */
function age(users, days) {
  const learnt = new Date(Date.now() - days * DAY_MS);
  for (const user of users) {
    for (const name of [`lid-mapping-${user}.json`, `lid-mapping-${user}_reverse.json`]) {
      const file = join(folder, name);
      if (existsSync(file)) utimesSync(file, learnt, learnt);
    }
  }
}

function files() {
  return readdirSync(folder).length;
}
