// One company's login at work: opens it, keeps it connected, decrypts and answers.
import {
  extractE2ESessionFromRetryReceipt, getBinaryNodeChild, getNextPreKeysNode, jidDecode,
} from 'baileys';
import { INITIAL_PREKEY_COUNT, MIN_PREKEY_COUNT } from 'baileys/lib/Defaults/index.js';
import { identityDigest, useAuthState } from '../auth/index.js';
import { config } from '../config.js';
import { CLOSED, Connection } from './connection.js';
import { answerTo, plain, textOf, wantsAnswer } from './message.js';
import { DecryptionError, Party } from './party.js';

const RECONNECT_MS = [1000, 2000, 5000, 10_000];
const RECEIPT_TIMEOUT_MS = 10_000;

const STORE_LINE = {
  database: (companyId) => `🗄️  Using database auth state for company ${companyId}`,
  files: (companyId) => `📁 Using file auth state for company ${companyId}`,
};

/** Phone numbers as people write them: 8 900 … is +7 900 … */
export const normalizePhone = (phone) => String(phone).replace(/\D/g, '').replace(/^8(?=\d{10}$)/, '7');

export class Bot {
  #auth;
  #party;
  #connection;
  #last = Promise.resolve();
  #closing = false;
  #attempts = 0; // to connect, since the last success
  #receipts = new Map(); // message id -> what to call with its receipt's error, if any
  #sent = new Map(); // message id -> {jid, content}, while a receipt may ask for it again
  #responses = new Map(); // phone or LID user -> text

  constructor(companyId) {
    this.companyId = companyId;
    this.connection = 'offline';
  }

  get health() {
    return {
      company_id: this.companyId,
      store: this.#auth.store,
      since: this.since,
      identity: identityDigest(this.#auth.state.creds),
      connection: this.connection,
    };
  }

  /** Opens the login from its store, and starts to keep it connected. */
  async start() {
    await this.#open();
    this.#stayConnected().catch((error) => console.error(`❌ Company ${this.companyId} gave up: ${error.stack}`));
  }

  async #open() {
    this.#party?.close();
    console.log(STORE_LINE[config.store](this.companyId));
    this.#auth = await useAuthState(this.companyId);
    if (this.#auth.created) {
      console.log(`🆕 No existing credentials for company ${this.companyId}, creating a new login`);
      await this.#auth.saveCreds();
    }
    this.since = new Date().toISOString();
    this.#party = new Party(this.#auth.state, (node) => this.#query(node));
  }

  async #stayConnected() {
    if (!this.#auth.state.creds.me) {
      // The real one prints WhatsApp's reference with its own keys; here nobody can scan it.
      console.log(`📱 Scan the QR code to pair company ${this.companyId}: waiting for the phone`);
      this.connection = 'unpaired';
      return;
    }
    if (!config.networkUrl) {
      console.log('🔌 NETWORK_URL is not set: nothing is sent or received');
      return;
    }
    this.connection = 'connecting';
    while (!this.#closing) {
      const { code, reason } = await this.#connected();
      if (this.#closing) return;
      console.error(`❌ Connection of company ${this.companyId} closed: ${code} ${reason}`);
      if (code === CLOSED.loggedOut) {
        this.connection = 'logged_out';
        console.error('🚪 Logged out: the phone has to be paired again');
        return;
      }
      if (code === CLOSED.replaced) {
        this.connection = 'replaced';
        console.error('👥 Replaced: another process has opened this login');
        return;
      }
      await this.#reopen();
    }
  }

  /** As bots do after a lost connection: everything anew, from what is stored. */
  async #reopen() {
    this.connection = 'connecting';
    while (!this.#closing) {
      const delay = RECONNECT_MS[Math.min(this.#attempts, RECONNECT_MS.length - 1)];
      this.#attempts += 1;
      await new Promise((resolve) => { setTimeout(resolve, delay); });
      if (this.#closing) return;
      try {
        await this.#inOrder(() => this.#open());
        return;
      } catch (error) {
        console.error(`❌ Failed to load credentials for company ${this.companyId}: ${error.message}`);
      }
    }
  }

  /** Connects and works until the connection ends; resolves with {code, reason}. */
  async #connected() {
    const connection = await Connection.open(config.networkUrl, this.#auth.state.creds);
    this.#connection = connection;
    if (connection.end) return connection.end;
    this.connection = 'open';
    this.#attempts = 0;
    console.log(`✅ Company ${this.companyId} connected`);
    connection.on('node', (node) => this.#inOrder(() => this.#handle(connection, node)).catch((error) => {
      console.error(`❌ ${error.message}`);
      // Unacknowledged: the network sends it again to a bot that has read its store anew.
      connection.close();
    }));
    const ended = new Promise((resolve) => {
      connection.once('closed', (end) => {
        for (const settle of [...this.#receipts.values()]) settle(end.reason);
        resolve(end);
      });
    });
    this.#inOrder(() => this.#uploadPreKeys()).catch((error) => console.error(`❌ Pre-keys not uploaded: ${error.message}`));
    return ended;
  }

  /** Messages are worked on one at a time, as each one moves the ratchets. */
  #inOrder(work) {
    const run = this.#last.then(work);
    this.#last = run.catch(() => {});
    return run;
  }

  async #handle(connection, node) {
    if (this.#closing || connection.end) return;
    if (node.tag === 'message') await this.#receive(connection, node);
    else if (node.tag === 'receipt') await this.#receipt(node);
    else if (node.tag === 'notification') await this.#uploadPreKeys();
  }

  async #receive(connection, stanza) {
    let received;
    try {
      received = await this.#party.decrypt(stanza);
    } catch (error) {
      if (!(error instanceof DecryptionError)) throw error;
      console.error(`❌ Failed to decrypt message ${stanza.attrs.id}: ${error.message}`);
      connection.send(ack(stanza, error.message));
      return;
    }
    connection.send(ack(stanza));
    console.log(`📥 Message received by company ${this.companyId}`);
    const { chat, author, message } = received;
    const pn = author.endsWith('lid') ? await this.#party.repository.lidMapping.getPNForLID(author) : author;
    for (const jid of [author, pn].filter(Boolean)) this.#responses.set(jidDecode(jid).user, textOf(message));
    if (wantsAnswer(message) && chat !== 'status@broadcast') {
      await this.#write(chat.endsWith('@g.us') ? chat : author, answerTo(received, 'Thank you, we will write to you soon'));
    }
  }

  async #write(jid, content) {
    const node = jid.endsWith('@g.us')
      ? await this.#party.composeGroup(jid, await this.#party.members(jid), content)
      : await this.#party.compose(jid, content);
    this.#remember(node.attrs.id, { jid, content });
    this.#connection.send(node);
    console.log(`📤 Message sent by company ${this.companyId}`);
    return node.attrs.id;
  }

  #remember(id, message) {
    this.#sent.set(id, message);
    if (this.#sent.size > 256) this.#sent.delete(this.#sent.keys().next().value);
  }

  async #receipt(node) {
    const { id, type, from, error } = node.attrs;
    if (type === 'retry') {
      const message = this.#sent.get(id);
      const session = extractE2ESessionFromRetryReceipt(node);
      if (!message || !session) return;
      console.log(`🔁 A contact asks for a new session, message ${id} is sent again`);
      await this.#party.replaceSession(from, session);
      if (!message.jid.endsWith('@g.us')) this.#connection.send(await this.#party.compose(from, message.content, id));
      return;
    }
    this.#receipts.get(id)?.(error);
  }

  /** Sends a text and resolves with its id once the contact has decrypted it. */
  async send(phone, text) {
    if (this.connection !== 'open') throw new Error(`Company ${this.companyId} is not connected (${this.connection})`);
    const user = normalizePhone(phone);
    const id = await this.#inOrder(async () => {
      this.#responses.delete(user);
      return this.#write(`${user}@s.whatsapp.net`, plain(text));
    });
    await this.#delivered(id);
    return id;
  }

  #delivered(id) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#receipts.get(id)?.('no receipt in time'), RECEIPT_TIMEOUT_MS);
      this.#receipts.set(id, (error) => {
        clearTimeout(timer);
        this.#receipts.delete(id);
        if (error) reject(new Error(`Message not delivered: ${error}`));
        else resolve();
      });
    });
  }

  lastResponse(phone) {
    return this.#responses.get(normalizePhone(phone));
  }

  /** When few are left on the network, as Baileys does: new pre-keys, stored before they are offered. */
  async #uploadPreKeys() {
    const { creds } = this.#auth.state;
    const result = await this.#query({ tag: 'iq', attrs: { type: 'get', xmlns: 'encrypt', to: '@s.whatsapp.net' }, content: [{ tag: 'count', attrs: {} }] });
    const left = Number(getBinaryNodeChild(result, 'count').attrs.value);
    if (left > MIN_PREKEY_COUNT) return;
    const { update, node } = await getNextPreKeysNode({ creds, keys: this.#party.keys }, left ? MIN_PREKEY_COUNT : INITIAL_PREKEY_COUNT);
    Object.assign(creds, update);
    await this.#auth.saveCreds();
    await this.#query(node);
  }

  async #query(node) {
    if (!this.#connection) throw new Error('Connection Closed');
    return this.#connection.query(node);
  }

  /** Finishes the message at hand; those behind it stay unacknowledged on the network. */
  async close() {
    this.#closing = true;
    await this.#last;
    await this.#connection?.close();
    this.#party?.close();
  }
}

const ack = (stanza, error) => ({
  tag: 'ack', attrs: { id: stanza.attrs.id, class: 'message', to: stanza.attrs.from, ...(error && { error }) },
});
