// The bot's line to the network: WhatsApp's binary nodes over a WebSocket on loopback. The real
// one wraps the same nodes in Noise encryption.
import { EventEmitter } from 'node:events';
import { decodeBinaryNode, encodeBigEndian, encodeBinaryNode, getBinaryNodeChild } from 'baileys';
import WebSocket from 'ws';

const QUERY_TIMEOUT_MS = 10_000;
const GOODBYE_MS = 2_000;

/** What ended a connection, in Baileys' words and with its status codes. */
export const CLOSED = { lost: 428, loggedOut: 401, replaced: 440 };

/** Events: `node` for everything the network sends by itself, `closed` once with {code, reason}. */
export class Connection extends EventEmitter {
  #socket;
  #queries = new Map();
  #nextId = 0;
  #incoming = Promise.resolve();
  #end;

  /** Logs in with the public part of a login; resolves when the network has accepted or refused it. */
  static async open(url, creds) {
    const connection = new Connection(new WebSocket(url.replace(/^http/, 'ws')));
    await connection.#logIn(creds);
    return connection;
  }

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.on('message', (data) => {
      this.#incoming = this.#incoming.then(async () => this.#handle(await decodeBinaryNode(data)))
        .catch((error) => this.#close(CLOSED.lost, error.message));
    });
    socket.on('error', (error) => this.#close(CLOSED.lost, error.message || error.code));
    socket.on('close', () => this.#close(CLOSED.lost, 'Connection Terminated by Server'));
  }

  /** {code, reason} once it is closed. */
  get end() {
    return this.#end;
  }

  send(node) {
    if (this.#end) throw new Error('Connection Closed');
    this.#socket.send(encodeBinaryNode(node));
  }

  /** Sends an iq node and resolves with its result node. */
  query(node) {
    const id = `q${(this.#nextId += 1)}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(reject, new Error('Timed Out')), QUERY_TIMEOUT_MS);
      const settle = (how, value) => {
        clearTimeout(timer);
        this.#queries.delete(id);
        how(value);
      };
      this.#queries.set(id, { resolve: (result) => settle(resolve, result), reject: (error) => settle(reject, error) });
      try {
        this.send({ ...node, attrs: { ...node.attrs, id } });
      } catch (error) {
        settle(reject, error);
      }
    });
  }

  /** Resolves when the network has read everything that was sent. */
  async close() {
    const goodbye = new Promise((resolve) => {
      this.#socket.once('close', resolve);
      setTimeout(resolve, GOODBYE_MS).unref();
    });
    const open = !this.#end;
    this.#close(CLOSED.lost, 'Connection Closed');
    if (open) await goodbye;
  }

  #logIn({ me, registrationId, signedIdentityKey }) {
    return new Promise((resolve) => {
      this.once('closed', resolve);
      this.once('accepted', resolve);
      this.#socket.once('open', () => this.send({
        tag: 'login',
        attrs: { jid: me.id },
        content: [
          { tag: 'registration', attrs: {}, content: encodeBigEndian(registrationId) },
          { tag: 'identity', attrs: {}, content: Buffer.from(signedIdentityKey.public) },
        ],
      }));
    });
  }

  #handle(node) {
    switch (node.tag) {
      case 'success':
        return this.emit('accepted');
      case 'failure':
        return this.#close(Number(node.attrs.reason), 'Connection Failure');
      case 'stream:error':
        return this.#close(getBinaryNodeChild(node, 'conflict') ? CLOSED.replaced : CLOSED.lost, 'Stream Errored (conflict)');
      case 'iq':
        return this.#queries.get(node.attrs.id)?.resolve(node);
      default:
        return this.emit('node', node);
    }
  }

  #close(code, reason) {
    if (this.#end) return;
    this.#end = { code, reason };
    for (const query of [...this.#queries.values()]) query.reject(new Error('Connection Closed'));
    this.#socket.close();
    this.emit('closed', this.#end);
  }
}
