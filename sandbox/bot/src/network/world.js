// Instead of WhatsApp's servers: who is registered, which public keys they left, what waits for
// whom. Knows the bot's logins by their public parts only; plays the contacts itself.
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import {
  decodeBinaryNode, encodeBigEndian, encodeBinaryNode, getBinaryNodeChild, getBinaryNodeChildren,
  getBinaryNodeChildUInt, jidDecode, xmppPreKey, xmppSignedPreKey,
} from 'baileys';
import { MIN_PREKEY_COUNT } from 'baileys/lib/Defaults/index.js';
import { answerTo, quotedId, textOf, wantsAnswer } from '../whatsapp/message.js';
import { Contact, contactKeys } from './contact.js';

const KEY_BUNDLE_TYPE = Buffer.from([5]);

const user = (jid) => jidDecode(jid)?.user;
const bytes = (tag, content) => ({ tag, attrs: {}, content: Buffer.from(content) });
const isGroup = (jid) => jid.endsWith('@g.us') || jid === 'status@broadcast';

/** The LID of a phone that nobody wrote to before: any, but always the same. */
const lidOf = (phone) => `${10n ** 14n + (createHash('sha256').update(phone).digest().readBigUInt64BE() % (9n * 10n ** 14n))}@lid`;

/**
 * Events: `queued` (login user), `low` (login user, pre-keys left), `acknowledged` (item, error),
 * `answered` (quoted id), `unreadable` (error) when a contact could not decrypt.
 */
export class World extends EventEmitter {
  #journal;
  #keys; // of the contacts
  #logins = new Map(); // phone user -> public login
  #contacts = new Map(); // name -> Contact
  #names = new Map(); // phone or LID user -> contact's name, or a login's user
  #queues = new Map(); // login user -> Map(sequence -> item)
  #sequence = 0;
  #last = Promise.resolve();

  constructor(journal) {
    super();
    this.#journal = journal;
    this.#keys = contactKeys(journal);
    for (const [, stored] of journal.entries('login/')) this.#remember(JSON.parse(stored));
    for (const [name, stored] of journal.entries('contact/')) {
      this.#know(Contact.restore(journal, this.#keys, name, stored, (node) => this.answer(node)));
    }
    for (const [path, stored] of journal.entries('queue/')) {
      const [owner, sequence] = path.split('/');
      this.#queueOf(owner).set(Number(sequence), JSON.parse(stored));
      this.#sequence = Math.max(this.#sequence, Number(sequence));
    }
  }

  /** One step at a time; what it changes is stored together before anybody hears of it. */
  atomically(step) {
    const run = this.#last.then(async () => {
      try {
        return await step();
      } finally {
        this.#journal.commit();
      }
    });
    this.#last = run.catch(() => {});
    return run;
  }

  // --- logins: the bot's phones -----------------------------------------------------------

  /** @param login {me: {id, lid}, registrationId, identityKey, signedPreKey: {keyId, publicKey, signature}, preKeys: [[id, publicKey]]}, bytes in base64 */
  register({ preKeys, ...login }) {
    const owner = user(login.me.id);
    for (const [id] of [...this.#journal.entries(`pre-key/${owner}/`)]) this.#journal.delete(`pre-key/${owner}/${id}`);
    for (const [id, publicKey] of preKeys) this.#journal.set(`pre-key/${owner}/${id}`, publicKey);
    this.#journal.set(`login/${owner}`, JSON.stringify(login));
    this.#remember(login);
    return owner;
  }

  logins() {
    return [...this.#logins.values()];
  }

  login(jid) {
    return this.#logins.get(this.#names.get(user(jid)));
  }

  /** The registered login that a connection claims to be; none: logged out (401). */
  authenticate(node) {
    const login = this.login(node.attrs.jid);
    const identity = getBinaryNodeChild(node, 'identity').content;
    const registrationId = getBinaryNodeChildUInt(node, 'registration', 4);
    const same = login && login.me.id === node.attrs.jid
      && login.registrationId === registrationId && login.identityKey === Buffer.from(identity).toString('base64');
    return same ? login : undefined;
  }

  // --- contacts ----------------------------------------------------------------------------

  /** A contact by phone number or jid; an unknown one is made. */
  contact(address) {
    const known = this.#contacts.get(this.#names.get(user(address) ?? address));
    if (known) return known;
    if (!address.includes('@')) return this.createContact({ id: `${address}@s.whatsapp.net`, lid: lidOf(address) });
    const decoded = jidDecode(address);
    if (decoded.server === 's.whatsapp.net') return this.contact(decoded.user);
    return this.createContact({ id: address });
  }

  /** The contact with this number, or a new one with this number and address. */
  meet(me) {
    return this.#contacts.get(this.#names.get(user(me.id))) ?? this.createContact(me);
  }

  createContact(me) {
    return this.#know(Contact.create(this.#journal, this.#keys, user(me.id), me, (node) => this.answer(node)));
  }

  /** The contacts that share a session with a login; for a login without any, five new ones. */
  async acquaintances(login) {
    const found = [];
    for (const contact of this.#contacts.values()) if (await contact.hasSession(loginJid(login))) found.push(contact);
    return found.length ? found : [1, 2, 3, 4, 5].map((number) => this.contact(`7997${user(login.me.id).slice(-6)}${number}`));
  }

  createGroup(id, login, members) {
    this.#journal.set(`group/${id}`, JSON.stringify({ login: user(login.me.id), members: members.map(({ name }) => name) }));
    return id;
  }

  groups(login) {
    return [...this.#journal.entries('group/')].map(([id, stored]) => ({ id, ...JSON.parse(stored) }))
      .filter((group) => group.login === user(login.me.id))
      .map(({ id, members }) => ({ id, members: members.map((name) => this.#contacts.get(name)) }));
  }

  /** A contact writes to a login, directly or in a group; the message waits until acknowledged. */
  async write(contact, login, content, { chat, run } = {}) {
    const own = loginJid(login);
    const node = chat ? await contact.composeGroup(chat, [own], content) : await contact.compose(own, content);
    const encrypted = encryptedFor(node, own);
    const pn = contact.jid.endsWith('@lid') ? contact.pn : undefined;
    const address = chat
      ? { from: chat, participant: contact.jid, ...(pn && { participant_pn: pn }) }
      : { from: contact.jid, ...(pn && { sender_pn: pn }) };
    const attrs = { id: node.attrs.id, ...address, type: 'text', t: seconds(), notify: `Contact ${contact.name.slice(-4)}` };
    return this.#enqueue(login, { tag: 'message', attrs, content: encrypted }, run);
  }

  // --- the queue: store and forward ----------------------------------------------------------

  waiting(login) {
    return [...this.#queueOf(user(login.me.id)).values()];
  }

  /** The stanza of a waiting message, and one delivery more on its account. */
  async deliver(login, item) {
    item.deliveries += 1;
    this.#store(login, item);
    const node = await decodeBinaryNode(Buffer.from(item.node, 'base64'));
    if (item.deliveries > 1) node.attrs.offline = String(item.deliveries - 1);
    return node;
  }

  acknowledge(login, id, error) {
    const queue = this.#queueOf(user(login.me.id));
    const item = [...queue.values()].find((waiting) => waiting.id === id);
    if (!item) return;
    queue.delete(item.sequence);
    this.#journal.delete(queuePath(login, item));
    this.emit('acknowledged', item, error);
  }

  // --- from the bot ----------------------------------------------------------------------------

  /** Hands a bot's message to its recipients; returns the receipts for the bot. */
  async receive(login, node) {
    const { to, id } = node.attrs;
    const group = isGroup(to);
    const own = loginJid(login);
    const recipients = group
      ? this.groups(login).find((known) => known.id === to)?.members ?? []
      : participants(node).map((jid) => this.contact(jid));
    const from = group ? { from: to, participant: own } : { from: own };
    const receipts = [];
    for (const [index, contact] of recipients.entries()) {
      const stanza = { tag: 'message', attrs: { id, ...from, type: 'text', t: seconds() }, content: encryptedFor(node, contact.jid) };
      const { error, retry } = await this.#read(contact, login, stanza, { answers: index === 0 });
      if (!error) receipts.push({ tag: 'receipt', attrs: { id, from: contact.jid } });
      else if (retry) receipts.push(retry);
      else receipts.push({ tag: 'receipt', attrs: { id, from: contact.jid, error } });
    }
    return receipts;
  }

  async #read(contact, login, stanza, { answers }) {
    const acquainted = await contact.hasSession(loginJid(login));
    let received;
    try {
      received = await contact.decrypt(stanza);
    } catch (error) {
      // A phone that never talked to this login asks for a new session, as WhatsApp's do after
      // an identity change. One that did reports the loss: nothing may hide a stale ratchet.
      if (!acquainted) return { error: error.message, retry: await this.#retryReceipt(contact, stanza) };
      console.error(`Contact ${contact.name} could not decrypt: ${error.message}`);
      this.emit('unreadable', error);
      return { error: error.message };
    }
    const { message } = received;
    const quoted = quotedId(message);
    if (quoted) this.emit('answered', quoted);
    if (answers && wantsAnswer(message)) {
      const chat = isGroup(stanza.attrs.from) ? stanza.attrs.from : undefined;
      await this.write(contact, login, answerTo(received, `Answer to: ${textOf(message)}`), { chat });
    }
    return {};
  }

  async #retryReceipt(contact, stanza) {
    const { registration, type, identity, skey, key } = await bundleOf(contact);
    return {
      tag: 'receipt',
      attrs: { id: stanza.attrs.id, from: contact.jid, type: 'retry' },
      content: [registration, { tag: 'keys', attrs: {}, content: [type, identity, key, skey] }],
    };
  }

  // --- queries -----------------------------------------------------------------------------------

  /** The answer to an iq node, from the bot or from a contact. */
  async answer(node, login) {
    const result = { tag: 'iq', attrs: { id: node.attrs.id ?? '', type: 'result' } };
    const [request] = node.content;
    switch (`${node.attrs.type} ${node.attrs.xmlns} ${request.tag}`) {
      case 'get encrypt key': {
        const users = await Promise.all(getBinaryNodeChildren(request, 'user').map((one) => this.#bundle(one.attrs.jid)));
        return { ...result, content: [{ tag: 'list', attrs: {}, content: users }] };
      }
      case 'get encrypt count':
        return { ...result, content: [{ tag: 'count', attrs: { value: String(this.#preKeys(login).length) } }] };
      case 'get usync usync': {
        const users = getBinaryNodeChildren(getBinaryNodeChild(request, 'list'), 'user').map(({ attrs: { jid } }) => {
          const known = this.login(jid);
          const device = known ? loginJid(known) : this.contact(user(jid)).jid;
          return { tag: 'user', attrs: { jid }, content: [{ tag: 'device', attrs: { jid: device } }] };
        });
        return { ...result, content: [{ tag: 'usync', attrs: {}, content: [{ tag: 'list', attrs: {}, content: users }] }] };
      }
      case 'get w:g2 query': {
        const group = this.groups(login).find(({ id }) => id === node.attrs.to);
        const content = (group?.members ?? []).map(({ jid }) => ({ tag: 'participant', attrs: { jid } }));
        return { ...result, content: [{ tag: 'group', attrs: { id: node.attrs.to }, content }] };
      }
      default:
        if (node.attrs.type === 'set' && node.attrs.xmlns === 'encrypt') return this.#upload(node, login, result);
        throw new Error(`Unknown query ${node.attrs.xmlns}`);
    }
  }

  #upload(node, login, result) {
    const owner = user(login.me.id);
    for (const key of getBinaryNodeChildren(getBinaryNodeChild(node, 'list'), 'key')) {
      const id = getBinaryNodeChildUInt(key, 'id', 3);
      const value = Buffer.from(getBinaryNodeChild(key, 'value').content).toString('base64');
      this.#journal.set(`pre-key/${owner}/${id}`, value);
    }
    return result;
  }

  async #bundle(jid) {
    const login = this.login(jid);
    const { registration, type, identity, skey, key } = login ? this.#loginBundle(login) : await bundleOf(this.contact(jid));
    return { tag: 'user', attrs: { jid }, content: [registration, type, identity, skey, ...(key ? [key] : [])] };
  }

  /** Gives away one of the login's one-time pre-keys, while there are any. */
  #loginBundle(login) {
    const { signedPreKey } = login;
    const stored = this.#preKeys(login);
    const [id, publicKey] = stored[0] ?? [];
    if (id) this.#journal.delete(`pre-key/${user(login.me.id)}/${id}`);
    if (stored.length <= MIN_PREKEY_COUNT) this.emit('low', user(login.me.id), Math.max(0, stored.length - 1));
    return bundle({
      registrationId: login.registrationId,
      identityKey: Buffer.from(login.identityKey, 'base64'),
      signedPreKey: {
        keyId: signedPreKey.keyId,
        keyPair: { public: Buffer.from(signedPreKey.publicKey, 'base64') },
        signature: Buffer.from(signedPreKey.signature, 'base64'),
      },
      preKey: id && [Number(id), { public: Buffer.from(publicKey, 'base64') }],
    });
  }

  #preKeys(login) {
    return [...this.#journal.entries(`pre-key/${user(login.me.id)}/`)].sort(([a], [b]) => a - b);
  }

  preKeysLeft(login) {
    return this.#preKeys(login).length;
  }

  // --- memory --------------------------------------------------------------------------------------

  #remember(login) {
    const owner = user(login.me.id);
    this.#logins.set(owner, login);
    for (const jid of [login.me.id, login.me.lid].filter(Boolean)) this.#names.set(user(jid), owner);
  }

  #know(contact) {
    this.#contacts.set(contact.name, contact);
    for (const each of contact.users) this.#names.set(each, contact.name);
    return contact;
  }

  #enqueue(login, node, run) {
    const item = {
      sequence: ++this.#sequence, id: node.attrs.id, run, deliveries: 0,
      node: Buffer.from(encodeBinaryNode(node)).toString('base64'),
    };
    this.#queueOf(user(login.me.id)).set(item.sequence, item);
    this.#store(login, item);
    this.emit('queued', user(login.me.id));
    return item;
  }

  #store(login, item) {
    this.#journal.set(queuePath(login, item), JSON.stringify(item));
  }

  #queueOf(owner) {
    if (!this.#queues.has(owner)) this.#queues.set(owner, new Map());
    return this.#queues.get(owner);
  }
}

const seconds = () => String(Math.floor(Date.now() / 1000));
const queuePath = (login, item) => `queue/${user(login.me.id)}/${item.sequence}`;
export const loginJid = ({ me }) => me.lid ?? me.id;

const toNodes = (node) => getBinaryNodeChildren(getBinaryNodeChild(node, 'participants'), 'to');
const participants = (node) => toNodes(node).map(({ attrs }) => attrs.jid);

/** What of a sent message is meant for one device: its own envelope, and the group's. */
function encryptedFor(node, jid) {
  const own = toNodes(node).find(({ attrs }) => user(attrs.jid) === user(jid));
  return [...(own?.content ?? []), ...getBinaryNodeChildren(node, 'enc')];
}

async function bundleOf(contact) {
  const { registrationId, signedIdentityKey, signedPreKey } = contact.creds;
  return bundle({ registrationId, identityKey: signedIdentityKey.public, signedPreKey, preKey: await contact.nextPreKey() });
}

/** The nodes of a key bundle, as parseAndInjectE2ESessions and a retry receipt want them. */
const bundle = ({ registrationId, identityKey, signedPreKey, preKey }) => ({
  registration: bytes('registration', encodeBigEndian(registrationId)),
  type: bytes('type', KEY_BUNDLE_TYPE),
  identity: bytes('identity', identityKey),
  skey: xmppSignedPreKey(signedPreKey),
  key: preKey && xmppPreKey(preKey[1], Number(preKey[0])),
});
