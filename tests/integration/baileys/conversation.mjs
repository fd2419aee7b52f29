// Real Signal conversations between one login and its contacts, each step a process of its own.
//   conversation.mjs make <folder>                            contacts in <folder>, and the login in <folder>/login
//   conversation.mjs exchange <folder> <store> <where> <out>  the login and each contact write to each other; what the
//                                                             contacts write last stays encrypted, in <out>
//   conversation.mjs decrypt <store> <where> <in>             the login reads what waits
// <store> <where>: files <folder of the login>, or database <company> with DATABASE_URL.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addTransactionCapability, BufferJSON, Curve, generateSignalPubKey, signedKeyPair, useMultiFileAuthState } from 'baileys';
import { makeLibSignalRepository } from 'baileys/lib/Signal/libsignal.js';
import { closeDatabase, useDatabaseAuthState } from './src/auth/database.js';

const silent = () => {};
const logger = { level: 'silent', child: () => logger, trace: silent, debug: silent, info: silent, warn: silent, error: silent };
for (const level of ['log', 'info', 'warn', 'error']) console[level] = silent; // libsignal prints whole sessions

const OWN = '79990000001@s.whatsapp.net';
const GROUPS = ['120363041234567890@g.us', '79001234567-1612345678@g.us'];
const ROUNDS = 3;
const text = (words) => Buffer.from(words);

/** A contact is known by its number, or by a LID that the login finds through its lid-mapping alone. */
const CONTACTS = Array.from({ length: 8 }, (_, place) => ({
  name: `contact-${place}`,
  pn: `7900123450${place}@s.whatsapp.net`,
  lid: place % 2 ? `10276571606230${place}@lid` : undefined,
  first: place >= 6, // writes its first message, on a stored pre-key, while the login is away
}));

async function open(store, where) {
  const opened = store === 'files' ? await useMultiFileAuthState(where) : await useDatabaseAuthState(where);
  const keys = addTransactionCapability(opened.state.keys, logger, { maxCommitRetries: 1, delayBetweenTriesMs: 1 });
  const party = { creds: opened.state.creds, keys, save: opened.saveCreds };
  party.repository = makeLibSignalRepository(party, logger, async () => []);
  return party;
}

const contactOf = (folder, { name }) => open('files', join(folder, name));

/** What the server would hand out of this party's keys. */
async function bundle(party, preKeyId) {
  const { [preKeyId]: preKey } = await party.keys.get('pre-key', [String(preKeyId)]);
  const { registrationId, signedIdentityKey, signedPreKey } = party.creds;
  return {
    registrationId,
    identityKey: generateSignalPubKey(signedIdentityKey.public),
    signedPreKey: { keyId: signedPreKey.keyId, publicKey: generateSignalPubKey(signedPreKey.keyPair.public), signature: signedPreKey.signature },
    preKey: { keyId: preKeyId, publicKey: generateSignalPubKey(preKey.public) },
  };
}

async function make(folder) {
  mkdirSync(folder, { recursive: true });
  for (const { name } of [...CONTACTS, { name: 'login' }]) {
    const party = await open('files', join(folder, name));
    party.creds.me = { id: name === 'login' ? '79990000001:5@s.whatsapp.net' : `${name}@s.whatsapp.net`, name: 'Салон 💇' };
    party.creds.signedPreKey = signedKeyPair(party.creds.signedIdentityKey, 1);
    const keys = Object.fromEntries(Array.from({ length: 30 }, (_, place) => [place + 1, Curve.generateKeyPair()]));
    party.creds.nextPreKeyId = 31;
    await party.keys.set({ 'pre-key': keys });
    await party.save();
  }
  const login = await open('files', join(folder, 'login'));
  for (const [place, each] of CONTACTS.entries()) {
    const contact = await contactOf(folder, each);
    if (each.lid) await login.repository.lidMapping.storeLIDPNMappings([{ lid: each.lid, pn: each.pn }]);
    if (each.first) continue;
    await contact.repository.injectE2ESession({ jid: OWN, session: await bundle(login, place + 1) });
    await pass(contact, login, each, `hello from ${each.name}`);
  }
}

/** One message from a contact to the login, and whether it can be read. */
async function pass(contact, login, each, words) {
  const { type, ciphertext } = await contact.repository.encryptMessage({ jid: OWN, data: text(words) });
  const read = await login.repository.decryptMessage({ jid: each.pn, type, ciphertext });
  if (read.toString() !== words) throw new Error('a message changed on its way');
}

async function exchange(folder, store, where, out) {
  const login = await open(store, where);
  const waiting = [];
  const known = CONTACTS.filter((each) => !each.first || store === 'database');
  for (const each of known) {
    const contact = await contactOf(folder, each);
    for (let round = 0; round < ROUNDS; round += 1) {
      const { type, ciphertext } = await login.repository.encryptMessage({ jid: each.pn, data: text(`to ${each.name} ${round}`) });
      await contact.repository.decryptMessage({ jid: OWN, type, ciphertext });
      await pass(contact, login, each, `back ${round}`);
    }
    for (const group of GROUPS) {
      // The login's own sender key: each contact can read it.
      const sent = await login.repository.encryptGroupMessage({ group, meId: OWN, data: text(`to ${group}`) });
      const item = { groupId: group, axolotlSenderKeyDistributionMessage: sent.senderKeyDistributionMessage };
      await contact.repository.processSenderKeyDistributionMessage({ item, authorJid: OWN });
      await contact.repository.decryptGroupMessage({ group, authorJid: OWN, msg: sent.ciphertext });
      // The contact's sender key: the login gets it now, and its messages wait.
      const key = await contact.repository.getSenderKeyDistributionMessage({ group, meId: each.pn });
      const given = { groupId: group, axolotlSenderKeyDistributionMessage: key };
      await login.repository.processSenderKeyDistributionMessage({ item: given, authorJid: each.pn });
      for (let round = 0; round < ROUNDS; round += 1) {
        const words = `${each.name} in ${group} ${round}`;
        const { ciphertext } = await contact.repository.encryptGroupMessage({ group, meId: each.pn, data: text(words) });
        waiting.push({ kind: group.includes('-') ? 'old group' : 'group', from: each.pn, group, words, ciphertext });
      }
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      const words = `${each.name} waits ${round}`;
      const { type, ciphertext } = await contact.repository.encryptMessage({ jid: OWN, data: text(words) });
      waiting.push({ kind: each.lid ? 'direct by LID' : 'direct', from: each.pn, type, words, ciphertext });
    }
  }
  for (const [place, each] of CONTACTS.entries()) {
    if (!each.first || store === 'database') continue;
    const contact = await contactOf(folder, each);
    await contact.repository.injectE2ESession({ jid: OWN, session: await bundle(login, 20 + place) });
    for (let round = 0; round < ROUNDS; round += 1) {
      const words = `${each.name} first ${round}`;
      const { type, ciphertext } = await contact.repository.encryptMessage({ jid: OWN, data: text(words) });
      if (type !== 'pkmsg') throw new Error('a first message is a pre-key message');
      waiting.push({ kind: 'first', from: each.pn, type, words, ciphertext });
    }
  }
  await login.save();
  writeFileSync(out, JSON.stringify(waiting, BufferJSON.replacer));
}

async function decrypt(store, where, from) {
  const login = await open(store, where);
  const waiting = JSON.parse(readFileSync(from, 'utf8'), BufferJSON.reviver);
  const result = { total: {}, failed: {}, reasons: [] };
  for (const { kind, from: jid, group, type, words, ciphertext } of waiting) {
    result.total[kind] = (result.total[kind] ?? 0) + 1;
    try {
      const read = group
        ? await login.repository.decryptGroupMessage({ group, authorJid: jid, msg: ciphertext })
        : await login.repository.decryptMessage({ jid, type, ciphertext });
      if (Buffer.from(read).toString() !== words) throw new Error('other words');
    } catch (error) {
      result.failed[kind] = (result.failed[kind] ?? 0) + 1;
      result.reasons.push(error.message);
    }
  }
  await login.save();
  result.reasons = [...new Set(result.reasons)];
  process.stdout.write(JSON.stringify(result));
}

const [command, ...rest] = process.argv.slice(2);
await { make, exchange, decrypt }[command](...rest);
await closeDatabase();
process.exit(0); // libsignal's caches keep timers
