// Contacts write to a login at a steady rate, and every message is accounted for at the end.
import { randomInt } from 'node:crypto';
import { plain } from '../whatsapp/message.js';
import { loginJid } from './world.js';

/** libsignal's words for a message that this login has decrypted before. */
export const DECRYPTED_BEFORE = /Key used already|Received message with old counter/;

/** Without any event for so long, what still waits counts as waiting. */
const SETTLE_MS = 30_000;
const ANSWERS_MS = 3_000;

export class Traffic {
  #world;
  #messages = new Map(); // id -> {kind, deliveries, outcome, answered}
  #errors = {};
  #unreadable = 0;
  #firstDue = 0;
  #lastEvent = 0;
  #stopped = false;

  constructor(world, login, { rate, seconds }) {
    Object.assign(this, { id: `run-${Date.now()}`, login, rate, seconds, finished: false });
    this.#world = world;
  }

  stop() {
    this.#stopped = true;
  }

  async run() {
    const listeners = {
      acknowledged: (item, error) => this.#acknowledged(item, error),
      answered: (id) => { if (this.#messages.has(id)) this.#messages.get(id).answered = true; },
      unreadable: () => { this.#unreadable += 1; },
    };
    for (const [event, listener] of Object.entries(listeners)) {
      listeners[event] = (...details) => {
        this.#lastEvent = Date.now();
        listener(...details);
      };
      this.#world.on(event, listeners[event]);
    }
    try {
      await this.#send();
      this.#lastEvent = Date.now();
      while (this.#unsettled() && Date.now() - this.#lastEvent < SETTLE_MS) await pause(100);
    } finally {
      for (const [event, listener] of Object.entries(listeners)) this.#world.off(event, listener);
      this.finished = true;
    }
    return this.report();
  }

  /**
   * Every 5th message goes to a group; every 16th is due to be a new contact's first, sent as
   * soon as the bot has left a one-time pre-key for it (it uploads none while it is down).
   */
  #kindOf(number) {
    if (number % 16 === 1) this.#firstDue += 1;
    if (number % 5 === 0) return 'group';
    if (!this.#firstDue || this.#world.preKeysLeft(this.login) < 2) return 'direct';
    this.#firstDue -= 1;
    return 'first';
  }

  async #send() {
    const groups = this.#world.groups(this.login);
    const contacts = await this.#world.atomically(() => this.#world.acquaintances(this.login));
    await this.#acquaint([...contacts, ...groups.flatMap(({ members }) => members)]);
    const started = Date.now();
    const total = Math.round(this.rate * this.seconds);
    for (let number = 0; number < total && !this.#stopped; number += 1) {
      const early = started + (number * 1000) / this.rate - Date.now();
      await pause(Math.max(0, early)); // also when late: others want to be served in between
      await this.#world.atomically(async () => {
        const kind = this.#kindOf(number);
        const group = kind === 'group' ? pick(groups) : undefined;
        const contact = kind === 'first' ? this.#world.contact(newPhone()) : pick(group?.members ?? contacts);
        const item = await this.#world.write(contact, this.login, plain(`Message ${number + 1}`), { chat: group?.id });
        item.run = this.id;
        this.#messages.set(item.id, { kind, item });
      });
    }
    this.lasted = (Date.now() - started) / 1000;
  }

  /**
   * Who never talked with the login says so much first, and waits for the answer. libsignal loses
   * messages when both sides begin at once: an attempt with the wrong one of two sessions alters
   * it, and is stored. WhatsApp's phones then ask for a retry; these would only count a failure.
   */
  async #acquaint(contacts) {
    const open = new Set();
    const answered = (id) => open.delete(id);
    this.#world.on('answered', answered);
    for (const contact of new Set(contacts)) {
      await this.#world.atomically(async () => {
        if (await contact.hasSession(loginJid(this.login))) return;
        open.add((await this.#world.write(contact, this.login, plain('Good day'))).id);
      });
    }
    const deadline = Date.now() + SETTLE_MS;
    while (open.size && Date.now() < deadline && !this.#stopped) await pause(100);
    this.#world.off('answered', answered);
    if (open.size) throw new Error('The login does not answer');
  }

  #acknowledged(item, error) {
    const message = this.#messages.get(item.id);
    if (!message) return;
    if (!error) message.outcome = 'decrypted';
    else if (item.deliveries > 1 && DECRYPTED_BEFORE.test(error)) message.outcome = 'decrypted_before';
    else {
      message.outcome = 'failed';
      this.#errors[error] = (this.#errors[error] ?? 0) + 1;
    }
  }

  /** Something still waits; or answers are on their way: a killed bot may owe some for ever. */
  #unsettled() {
    const messages = [...this.#messages.values()];
    if (messages.some(({ outcome }) => !outcome)) return true;
    return messages.some(({ answered }) => !answered) && Date.now() - this.#lastEvent < ANSWERS_MS;
  }

  report() {
    const messages = [...this.#messages.values()];
    const count = (wanted) => messages.filter(wanted).length;
    const outcome = (name) => count((message) => message.outcome === name);
    return {
      sent: messages.length,
      direct: count(({ kind }) => kind === 'direct'),
      group: count(({ kind }) => kind === 'group'),
      first: count(({ kind }) => kind === 'first'),
      seconds: this.lasted,
      rate: this.lasted ? Number((messages.length / this.lasted).toFixed(1)) : 0,
      // Acknowledged, and so decrypted exactly once.
      decrypted: outcome('decrypted'),
      // Decrypted once as well, by a process that died before it could acknowledge.
      decrypted_before: outcome('decrypted_before'),
      redelivered: count(({ item }) => item.deliveries > 1),
      failed: outcome('failed'),
      waiting: count((message) => !message.outcome),
      errors: this.#errors,
      answered: count(({ answered }) => answered),
      answers_unreadable: this.#unreadable,
    };
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const pick = (list) => list[randomInt(list.length)];
const newPhone = () => `7996${String(randomInt(10 ** 7)).padStart(7, '0')}`;
