// The process `whatsapp-network`: a World behind a port on loopback. The bot connects by
// WebSocket and speaks binary nodes; people and scripts use HTTP with JSON.
import { createServer } from 'node:http';
import { decodeBinaryNode, encodeBinaryNode, jidDecode } from 'baileys';
import { WebSocketServer } from 'ws';
import { mask } from '../log.js';
import { plain } from '../whatsapp/message.js';
import { Journal } from './journal.js';
import { Traffic } from './traffic.js';
import { World } from './world.js';

/** Messages that may be on their way to a bot, unacknowledged, at one time. */
const WINDOW = 16;

/** One connection of one login. */
class Line {
  #inFlight = new Set();
  #incoming = Promise.resolve();

  constructor(network, socket) {
    Object.assign(this, { network, socket, login: undefined, ready: false });
    socket.on('message', (data) => {
      this.#incoming = this.#incoming.then(() => this.#handle(data)).catch((error) => {
        console.error(`Connection dropped: ${error.message}`);
        socket.close();
      });
    });
    socket.on('error', () => socket.terminate());
  }

  get open() {
    return this.socket.readyState === this.socket.OPEN;
  }

  /** Everything that has arrived is worked off. */
  settled() {
    return this.#incoming;
  }

  send(node) {
    this.socket.send(encodeBinaryNode(node));
  }

  end(node) {
    this.send(node);
    this.socket.close();
  }

  async #handle(data) {
    const node = await decodeBinaryNode(data);
    const { world } = this.network;
    if (!this.login) return this.#authenticate(node);
    switch (node.tag) {
      case 'iq':
        return this.send(await world.atomically(() => world.answer(node, this.login)));
      case 'message':
        for (const receipt of await world.atomically(() => world.receive(this.login, node))) this.send(receipt);
        return undefined;
      case 'ack':
        await world.atomically(() => world.acknowledge(this.login, node.attrs.id, node.attrs.error));
        this.#inFlight.delete(node.attrs.id);
        return this.pump();
      default:
        throw new Error(`unexpected node ${node.tag}`);
    }
  }

  async #authenticate(node) {
    const login = node.tag === 'login' ? this.network.world.authenticate(node) : undefined;
    if (!login) return this.end({ tag: 'failure', attrs: { reason: '401', location: 'sandbox' } });
    this.login = login;
    await this.network.joined(this);
    this.ready = true;
    this.send({ tag: 'success', attrs: { t: String(Math.floor(Date.now() / 1000)) } });
    return this.pump();
  }

  /** Sends what waits, in order, as far as the window allows. */
  async pump() {
    const { world } = this.network;
    await world.atomically(async () => {
      for (const item of world.waiting(this.login)) {
        if (this.#inFlight.size >= WINDOW || !this.open || !this.ready) return;
        if (this.#inFlight.has(item.id)) continue;
        this.#inFlight.add(item.id);
        this.send(await world.deliver(this.login, item));
      }
    });
  }
}

export class Network {
  #lines = new Map(); // login user -> Line
  #runs = new Map();
  #server;

  constructor(stateDir) {
    this.world = new World(new Journal(`${stateDir}/network.ndjson`));
    this.world.on('queued', (owner) => this.#lines.get(owner)?.pump());
    this.world.on('low', (owner, count) => this.#lines.get(owner)?.send({
      tag: 'notification', attrs: { type: 'encrypt', from: '@s.whatsapp.net' }, content: [{ tag: 'count', attrs: { value: String(count) } }],
    }));
  }

  /** @returns the port */
  listen(port) {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.keepAliveTimeout = 60_000;
    new WebSocketServer({ server: this.#server }).on('connection', (socket) => new Line(this, socket));
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => resolve(this.#server.address().port));
    });
  }

  async close() {
    for (const line of this.#lines.values()) line.socket.terminate();
    await this.world.atomically(() => {});
    this.#server?.closeAllConnections();
    await new Promise((resolve) => { this.#server ? this.#server.close(resolve) : resolve(); });
  }

  /** Takes the place of the login's line before; nothing that it acknowledged is sent again. */
  async joined(line) {
    const owner = ownerOf(line.login);
    const before = this.#lines.get(owner);
    this.#lines.set(owner, line);
    if (before?.open) before.end({ tag: 'stream:error', attrs: {}, content: [{ tag: 'conflict', attrs: { type: 'replaced' } }] });
    await before?.settled();
  }

  async #serve(request, response) {
    const { pathname } = new URL(request.url, 'http://localhost');
    try {
      const body = request.method === 'POST' ? JSON.parse((await text(request)) || '{}') : undefined;
      const [, what, id] = pathname.split('/');
      const result = await this.#route(`${request.method} ${what}`, id, body);
      response.writeHead(result === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(result ?? { error: 'not found' }));
    } catch (error) {
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: mask(error.message) }));
    }
  }

  async #route(route, id, body) {
    const { world } = this;
    switch (route) {
      case 'GET health':
        return { status: 'ok', logins: world.logins().map((login) => this.#status(login)) };
      case 'POST logins':
        return { status: 'ok', registered: mask(await world.atomically(() => enrol(world, body))) };
      case 'POST messages': {
        const login = this.#login(body.login);
        const item = await world.atomically(() => world.write(world.contact(body.phone), login, plain(body.message), { chat: body.group }));
        return { id: item.id };
      }
      case 'POST traffic':
        return id ? this.#stop(id) : this.#start(body);
      case 'GET traffic': {
        const run = this.#runs.get(id);
        return run && { id, finished: run.finished, ...run.report() };
      }
      default:
        return undefined;
    }
  }

  #status(login) {
    return {
      login: mask(login.me.id), connected: Boolean(this.#lines.get(ownerOf(login))?.open),
      waiting: this.world.waiting(login).length, pre_keys: this.world.preKeysLeft(login),
    };
  }

  /** A login by phone number; the only one when none is named. */
  #login(phone) {
    const login = phone ? this.world.login(`${phone}@s.whatsapp.net`) : this.world.logins()[0];
    if (!login) throw new Error('No such login is registered');
    return login;
  }

  #start({ login, rate, seconds }) {
    const run = new Traffic(this.world, this.#login(login), { rate: Number(rate), seconds: Number(seconds) });
    this.#runs.set(run.id, run);
    run.run().catch((error) => console.error(`Traffic ended: ${error.message}`));
    return { id: run.id };
  }

  #stop(id) {
    this.#runs.get(id)?.stop();
    return this.#runs.has(id) ? { id } : undefined;
  }
}

/** A login that comes from elsewhere: registered anew, with groups to talk in. */
function enrol(world, login) {
  const owner = world.register(login);
  const registered = world.login(login.me.id);
  if (!world.groups(registered).length) {
    const members = [1, 2, 3].map((number) => world.contact(`7998${owner.slice(-6)}${number}`));
    world.createGroup(`1203630${owner}@g.us`, registered, members);
    world.createGroup(`${owner.slice(-11)}-1612345678@g.us`, registered, members);
  }
  return owner;
}

const ownerOf = (login) => jidDecode(login.me.id).user;

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
