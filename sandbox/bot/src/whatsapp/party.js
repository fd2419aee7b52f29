// One end of Signal conversations: Baileys' repository over a login's own keys. The bot is one,
// and so is each simulated contact. It speaks WhatsApp's nodes with whatever answers `query`.
import {
  addTransactionCapability, decryptMessageNode, encodeWAMessage, generateMessageIDV2,
  getBinaryNodeChild, getBinaryNodeChildren, jidDecode, parseAndInjectE2ESessions, proto,
} from 'baileys';
import { makeLibSignalRepository } from 'baileys/lib/Signal/libsignal.js';
import { baileysLogger as logger, collectingCauses } from '../log.js';

const CIPHERTEXT = proto.WebMessageInfo.StubType.CIPHERTEXT;
const isHosted = (jid) => jidDecode(jid)?.device === 99;
const isLid = (jid) => jid.endsWith('lid');

export class DecryptionError extends Error {}
export class StoreError extends Error {}

/** libsignal takes a failing read for "no session": keep the store's own error, to tell the two apart. */
function watched(store) {
  const watch = (method) => async (...args) => {
    try {
      return await store[method](...args);
    } catch (error) {
      keys.error ??= error;
      throw error;
    }
  };
  const keys = { ...store, error: undefined, get: watch('get'), set: watch('set') };
  return keys;
}

/** A store whose writes within a transaction are committed together, as Baileys does it. */
export const transactional = (store) => addTransactionCapability(store, logger, { maxCommitRetries: 3, delayBetweenTriesMs: 500 });

export class Party {
  #store;
  #withoutLid = new Set();
  #learnt = new Set();
  #groups = new Map();

  /** @param query sends an iq node and resolves with its result node */
  constructor({ creds, keys }, query) {
    this.creds = creds;
    this.query = query;
    this.#store = watched(keys);
    this.keys = keys.transaction ? this.#store : transactional(this.#store);
    this.repository = makeLibSignalRepository({ creds, keys: this.keys }, logger, (jids) => this.#lookUp(jids));
  }

  get jid() {
    return this.creds.me.lid ?? this.creds.me.id;
  }

  close() {
    this.repository.close();
  }

  /** All that one message writes is committed together, or not at all. */
  async #transaction(work) {
    try {
      return await this.keys.transaction(async () => {
        const result = await work();
        if (this.#store.error) throw this.#store.error;
        return result;
      }, 'message');
    } catch (error) {
      if (!this.#store.error) throw error;
      throw new StoreError(`Auth state store failed: ${this.#store.error.message}`, { cause: this.#store.error });
    }
  }

  /** @returns {id, chat, author, message}; throws DecryptionError in libsignal's words */
  async decrypt(stanza) {
    const { fullMessage, author, decrypt } = decryptMessageNode(
      stanza, this.creds.me.id, this.creds.me.lid ?? '', this.repository, logger);
    await collectingCauses(async (causes) => {
      await this.#transaction(async () => {
        await this.#learnMapping(stanza, author);
        await decrypt();
      });
      if (fullMessage.messageStubType !== CIPHERTEXT) return;
      throw new DecryptionError([fullMessage.messageStubParameters[0], ...causes].join(': '));
    });
    return { id: fullMessage.key.id, chat: fullMessage.key.remoteJid, author, message: fullMessage.message };
  }

  /** As Baileys does on receipt: a LID sender's envelope names the phone number. */
  async #learnMapping(stanza, author) {
    const pn = stanza.attrs.participant_pn ?? stanza.attrs.sender_pn;
    if (!pn || this.#learnt.has(author)) return;
    await this.repository.lidMapping.storeLIDPNMappings([{ lid: author, pn }]);
    await this.repository.migrateSession(pn, author);
    this.#learnt.add(author);
  }

  /** A message node to one user: {tag: message, participants: [to: enc]}. */
  async compose(jid, content, id = generateMessageIDV2(this.creds.me.id)) {
    return this.#transaction(async () => {
      const device = await this.#deviceOf(jid);
      return messageNode(id, jid, [await this.#encryptTo(device, content)]);
    });
  }

  /** The same to a group: sender key message, and the sender key to each member that lacks it. */
  async composeGroup(group, members, content, id = generateMessageIDV2(this.creds.me.id)) {
    return this.#transaction(async () => {
      const { ciphertext, senderKeyDistributionMessage } = await this.repository.encryptGroupMessage({
        group, meId: this.jid, data: encodeWAMessage(content),
      });
      const memory = (await this.keys.get('sender-key-memory', [group]))[group] ?? {};
      const recipients = [];
      for (const jid of members.filter((member) => !memory[member])) {
        const distribution = { groupId: group, axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage };
        recipients.push(await this.#encryptTo(jid, { senderKeyDistributionMessage: distribution }));
        memory[jid] = true;
      }
      await this.keys.set({ 'sender-key-memory': { [group]: memory } });
      return messageNode(id, group, recipients, enc('skmsg', ciphertext));
    });
  }

  /** Devices in a group that take part in its sender keys, but for our own. */
  async members(group) {
    if (!this.#groups.has(group)) {
      const info = getBinaryNodeChild(await this.query(groupQuery(group)), 'group');
      const own = [this.creds.me.id, this.creds.me.lid].map((jid) => jidDecode(jid)?.user);
      this.#groups.set(group, getBinaryNodeChildren(info, 'participant').map((node) => node.attrs.jid)
        .filter((jid) => !isHosted(jid) && !own.includes(jidDecode(jid).user)));
    }
    return this.#groups.get(group);
  }

  /** A new session with a contact's newest bundle, as after an identity change. */
  async replaceSession(jid, session) {
    await this.#transaction(() => this.repository.injectE2ESession({ jid, session }));
  }

  async hasSession(jid) {
    return (await this.repository.validateSession(jid)).exists;
  }

  async #encryptTo(jid, content) {
    if (!(await this.hasSession(jid))) {
      await parseAndInjectE2ESessions(await this.query(bundleQuery(jid)), this.repository);
    }
    const { type, ciphertext } = await this.repository.encryptMessage({ jid, data: encodeWAMessage(content) });
    return { tag: 'to', attrs: { jid }, content: [enc(type, ciphertext)] };
  }

  /** The jid whose session serves a user: stored knowledge first, then the server's. */
  async #deviceOf(jid) {
    const { user, device } = jidDecode(jid);
    if (device !== undefined || !jid.endsWith('@s.whatsapp.net')) return jid;
    const lid = await this.repository.lidMapping.getLIDForPN(jid);
    const { [user]: devices } = await this.keys.get('device-list', [user]);
    if (devices?.length) return deviceJid(lid ?? jid, devices.includes('0') ? '0' : devices[0]);
    return (await this.#devices([jid]))[0].device;
  }

  /** Baileys asks for the LIDs of phone numbers that it does not know. */
  async #lookUp(jids) {
    const unknown = jids.filter((jid) => !this.#withoutLid.has(jid));
    const users = unknown.length ? await this.#devices(unknown) : [];
    for (const { pn, device } of users) if (!isLid(device)) this.#withoutLid.add(pn);
    return users.filter(({ device }) => isLid(device))
      .map(({ pn, device }) => ({ pn, lid: `${jidDecode(device).user}@lid` }));
  }

  async #devices(jids) {
    const list = getBinaryNodeChild(getBinaryNodeChild(await this.query(usyncQuery(jids)), 'usync'), 'list');
    const users = getBinaryNodeChildren(list, 'user').map((node) => {
      const device = getBinaryNodeChild(node, 'device')?.attrs.jid;
      if (!device) throw new Error('Not on WhatsApp');
      return { pn: node.attrs.jid, device };
    });
    const lists = users.map(({ pn, device }) => [jidDecode(pn).user, [String(jidDecode(device).device ?? 0)]]);
    await this.keys.set({ 'device-list': Object.fromEntries(lists) });
    return users;
  }
}

const enc = (type, content) => ({ tag: 'enc', attrs: { v: '2', type }, content });

const messageNode = (id, to, participants, ...more) => ({
  tag: 'message',
  attrs: { id, to, type: 'text' },
  content: [{ tag: 'participants', attrs: {}, content: participants }, ...more],
});

function deviceJid(jid, device) {
  const { user, server } = jidDecode(jid);
  if (device === '99') return `${user}:99@${isLid(server) ? 'hosted.lid' : 'hosted'}`;
  return device === '0' ? `${user}@${server}` : `${user}:${device}@${server}`;
}

const iq = (xmlns, to, content) => ({ tag: 'iq', attrs: { type: 'get', xmlns, to }, content: [content] });
const user = (jid) => ({ tag: 'user', attrs: { jid } });

const bundleQuery = (jid) => iq('encrypt', '@s.whatsapp.net', { tag: 'key', attrs: {}, content: [user(jid)] });
const groupQuery = (group) => iq('w:g2', group, { tag: 'query', attrs: { request: 'interactive' } });
const usyncQuery = (jids) => iq('usync', '@s.whatsapp.net', {
  tag: 'usync', attrs: { mode: 'query', context: 'message' }, content: [{ tag: 'list', attrs: {}, content: jids.map(user) }],
});
